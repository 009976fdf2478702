"""Whatever a type can hold makes the way out and in again: encoded as a result, checked, and made from the input."""

from __future__ import annotations

import random

import pytest
from protocol.made_up_types import function_of, made_up

from seekapi import InvalidInput, schema
from seekapi._protocol import json_text, schemas


@pytest.mark.parametrize("seed", range(150))
def test_out_and_in_again(seed):
    """Encoded, parsed, checked by the published schema, converted: the same value of the same type."""
    chance = random.Random(seed)
    annotation, make, _ = made_up(chance, depth=3)
    fn = function_of(annotation)
    converter = schemas.input_converter(fn)
    assert converter is not None
    for _ in range(10):
        value = make(chance)
        sent = json_text.parse(json_text.encode(value))

        assert schemas.problems(schema(fn), sent) == []
        received = converter(sent)
        assert received == value
        assert json_text.encode(received) == json_text.encode(value)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_comes_only_invalid_input_gets_out(seed):
    """Any JSON against any type: a value, or problems; and the published schema says the same as the converter."""
    chance = random.Random(seed)
    annotation, _, _ = made_up(chance, depth=3)
    _, make_other, _ = made_up(chance, depth=3)
    fn = function_of(annotation)
    converter = schemas.input_converter(fn)
    for _ in range(10):
        sent = json_text.parse(json_text.encode(make_other(chance)))
        try:
            converter(sent)
            refused = ()
        except InvalidInput as error:
            refused = error.problems
        by_schema = [str(problem) for problem in schemas.problems(schema(fn), sent)]

        assert by_schema == list(refused) or (not by_schema and refused)
