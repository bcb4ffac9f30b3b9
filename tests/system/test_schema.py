#!/usr/bin/env python3
"""The schema that is printed is JSON, and what it says holds of the defaults and of every example.

    test_schema.py LEARN2ASK INPUT.ini...
"""
import configparser
import json
import subprocess
import sys

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}
KEYWORDS = {
    "$schema", "title", "description", "type", "format", "enum", "minimum", "maximum", "default",
    "properties", "additionalProperties", "x-change", "x-default-by-algorithm",
}


def printed(*arguments):
    return subprocess.run([*arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def faults(schema, value, place):
    """What a validator would find, as far as the schema's own keywords go."""
    unknown = set(schema) - KEYWORDS
    assert not unknown, f"{place}: {unknown}"
    kind = TYPES[schema["type"]]
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        return [f"{place}: {value!r} is not of type {schema['type']}"]
    if value not in schema.get("enum", [value]):
        return [f"{place}: {value!r} is none of {schema['enum']}"]
    if kind in (int, (int, float)) and not schema["minimum"] <= value <= schema["maximum"]:
        return [f"{place}: {value!r} is out of bounds"]
    if kind is not dict:
        return []
    assert schema["additionalProperties"] is False
    found = []
    for key, inner in value.items():
        if key not in schema["properties"]:
            found.append(f"{place}: no {key}")
        else:
            found += faults(schema["properties"][key], inner, f"{place}/{key}")
    return found


def converted(text, kind):
    if kind == "boolean":
        return {"yes": True, "no": False}[text]
    if kind in ("integer", "number"):
        return json.loads(text)
    return text.strip('"')


def read(text, schema):
    """An input file as the value that the schema describes."""
    file = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    file.read_string(text)
    return {
        section: {
            key: converted(value, schema["properties"][section]["properties"][key]["type"])
            for key, value in file[section].items()
        }
        for section in file.sections()
    }


def main(program, *inputs):
    schema = json.loads(printed(program, "--schema"))
    assert schema["$schema"].endswith("/draft/2020-12/schema")
    defaults = read(printed(program, "--defaults"), schema)
    said = {
        section: {key: row["default"] for key, row in rows["properties"].items()}
        for section, rows in schema["properties"].items()
    }
    assert said == defaults, "the schema has other defaults than --defaults"
    found = faults(schema, defaults, "--defaults")
    for path in inputs:
        with open(path, encoding="utf-8") as file:
            found += faults(schema, read(file.read(), schema), path)
    assert not found, "\n".join(found)

    # It can fail.
    for section, key, value in (
        ("train", "steps", -1), ("train", "steps", 1.5), ("model", "compute", "f16"),
        ("model", "random", 1), ("train", "step", 1), ("rollout", "top_p", 0.0),
    ):
        wrong = {section: {key: value}}
        assert len(faults(schema, wrong, "")) == 1, f"{wrong} is valid"


main(*sys.argv[1:])
