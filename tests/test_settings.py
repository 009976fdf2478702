"""The environment is read in one place, at call time, and a malformed value is named."""

from __future__ import annotations

import pytest

from seekapi import ConfigurationError, _settings


def test_defaults_of_an_empty_environment():
    """Nothing set: remote, and nowhere to deliver to."""
    settings = _settings.read({})

    assert (settings.local_mode, settings.api_base_url, settings.internal_secret) == (False, "", "")
    assert settings.max_input_bytes == 32 * 1024 * 1024


def test_local_artifacts_go_below_the_current_folder(tmp_path, monkeypatch):
    """Unless SEEKAPI_LOCAL_DIR says otherwise, as it stands there."""
    monkeypatch.chdir(tmp_path)

    assert _settings.read({"SEEKAPI_LOCAL_MODE": "1"}).local_dir == str(tmp_path / ".seekapi-local")
    assert _settings.read({"SEEKAPI_LOCAL_MODE": "1", "SEEKAPI_LOCAL_DIR": "out"}).local_dir == "out"


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_words_that_mean_on(word):
    """Local mode is on for the documented words, whatever their case."""
    assert _settings.read({"SEEKAPI_LOCAL_MODE": word}).local_mode


@pytest.mark.parametrize("word", ["", "0", "false", "y", "t", "2", "enabled"])
def test_every_other_word_means_off(word):
    """1.0.5 knew no other words, and a deployed function must not slip into local mode."""
    assert not _settings.read({"SEEKAPI_LOCAL_MODE": word}).local_mode


@pytest.mark.parametrize(
    "word, told",
    [("ture", 1), (" Y ", 1), ("enabled", 1), ("", 0), ("0", 0), ("NO", 0), ("false", 0), ("off", 0), ("1", 0)],
)
def test_a_word_that_may_have_meant_on_is_told_of_once(word, told, caplog, monkeypatch):
    """A typing error would otherwise be found out by what the platform is missing."""
    monkeypatch.setattr(_settings, "_is_warned", False)

    with caplog.at_level("WARNING", "seekapi"):
        for _ in range(3):
            _settings.read({"SEEKAPI_LOCAL_MODE": word})

    assert len(caplog.messages) == told
    assert all(repr(word.strip()) in line and "stays off" in line for line in caplog.messages)


def test_base_url_is_stripped_of_blanks_and_slashes():
    """`https://host/ ` and `https://host` are one."""
    assert _settings.read({"WORKER_API_BASE_URL": " https://api.example// "}).api_base_url == "https://api.example"


def test_local_mode_inside_lambda_is_refused():
    """Results written to a sandbox's disk are lost, so the run does not start."""
    with pytest.raises(ConfigurationError, match="SEEKAPI_LOCAL_MODE is set inside AWS Lambda"):
        _settings.read({"SEEKAPI_LOCAL_MODE": "1", "AWS_LAMBDA_FUNCTION_NAME": "f"})


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e9", "many", "٣"])
def test_a_malformed_number_names_its_variable(text):
    """The message tells which variable to mend."""
    with pytest.raises(ConfigurationError, match="SEEKAPI_MAX_INPUT_BYTES"):
        _settings.read({"SEEKAPI_MAX_INPUT_BYTES": text})


def test_hosts_are_a_comma_list():
    """Blanks and case do not matter in a list of hosts."""
    assert _settings.read({"SEEKAPI_INPUT_HOSTS": "A.example, b.example,,"}).input_hosts == ("a.example", "b.example")


def test_the_settings_print_without_the_secret():
    """A repr in a log gives nothing away."""
    settings = _settings.read({"WORKER_INTERNAL_SECRET": "hunter2-hunter2", "WORKER_API_BASE_URL": "https://h"})

    assert "hunter2" not in repr(settings)
