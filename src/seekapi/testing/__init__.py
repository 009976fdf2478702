"""The test kit: the whole platform inside a test, over real sockets, with nothing patched.

    from seekapi.testing import DevPlatform

    def test_it_greets():
        with DevPlatform() as platform:
            result = platform.invoke(handler, {"name": "Ada"})

        assert result.ok and result.pushes == [{"message": "hello Ada"}]

With pytest the fixture `seekapi_platform` is such a platform. Importing this package loads nothing else: pytest does it
in every run of an environment that has seekapi.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .invoked import File, Invoked, Served
    from .lambda_side import FakeLambdaContext, make_event
    from .platform import DevPlatform

__all__ = ["DevPlatform", "FakeLambdaContext", "File", "Invoked", "Served", "make_event"]

_HOME_OF = {
    "DevPlatform": "platform",
    "FakeLambdaContext": "lambda_side",
    "File": "invoked",
    "Invoked": "invoked",
    "Served": "invoked",
    "make_event": "lambda_side",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__"])
