#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schema_check.py FILE.schema.json [--mutate] < LINES

Holds every line against the schema, strictly: valid UTF-8, one object, no duplicate key, no NaN.
With --mutate each line is also spoilt in every way that a consumer would stumble over (a field
missing, unknown, of the wrong type, a word that is none, null where it means nothing), and each of
those must be refused: this proves that the schema can refuse.
"""
import argparse
import copy
import json
import sys

import jsonschema

def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("duplicate key in %s" % keys)
    return dict(pairs)


def no_constant(name):
    raise ValueError("%s is not JSON" % name)


def parse(line):
    value = json.loads(line.decode("utf-8"), object_pairs_hook=no_duplicates,
                       parse_constant=no_constant)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


class Mutator:
    """Walks a valid value beside its schema and yields (what was done, spoilt copy)."""

    def __init__(self, schema):
        self.root = schema

    def resolve(self, schema):
        while "$ref" in schema:
            target = self.root
            for part in schema["$ref"].lstrip("#/").split("/"):
                target = target[part]
            schema = target
        return schema

    def branches(self, schema):
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return [b for s in schema["anyOf"] for b in self.branches(s)]
        return [schema]

    def replacements(self, schema):
        """Values that @schema must not take, each with a name."""
        branches = self.branches(schema)
        types = set()
        for b in branches:
            t = b.get("type", "string" if "const" in b else [])
            types |= set([t] if isinstance(t, str) else t)
        if "null" not in types:
            yield "null where it means nothing", None
        if "string" not in types:
            yield "text", "x"
        if not types & {"number", "integer"}:
            yield "a number", 1
        if types & {"number", "integer"}:
            if any(b.get("minimum", b.get("exclusiveMinimum")) is not None for b in branches):
                yield "below its minimum", -1
            if "number" not in types:
                yield "a fraction", 0.5
        if "boolean" not in types:
            yield "a boolean", True
        if "array" not in types:
            yield "a list", []
        if "object" not in types:
            yield "an object", {}
        if any("enum" in b or "const" in b or "pattern" in b for b in branches):
            yield "a word that is none", "no such word"
        if any("minLength" in b for b in branches):
            yield "an empty text", ""

    def mutations(self, schema, value, path=()):
        if path:
            for what, bad in self.replacements(schema):
                yield path, what, lambda holder, key, bad=bad: holder.__setitem__(key, bad)
        for branch in self.branches(schema):
            if isinstance(value, dict) and branch.get("type") == "object":
                yield path + ("no_such_field",), "unknown field", \
                    lambda holder, key: holder.__setitem__(key, 1)
                for key in value:
                    yield path + (key,), "field removed", lambda holder, key: holder.pop(key)
                    yield from self.mutations(branch["properties"][key], value[key],
                                              path + (key,))
            elif isinstance(value, list) and "items" in branch:
                for i, item in enumerate(value):
                    yield from self.mutations(branch["items"], item, path + (i,))

    def spoilt(self, value):
        for path, what, change in self.mutations(self.root, value):
            bad = copy.deepcopy(value)
            holder = bad
            for key in path[:-1]:
                holder = holder[key]
            change(holder, path[-1])
            yield "/".join(map(str, path)) + ": " + what, bad


def check_schema(schema, where="#"):
    """Every object of ours names all its fields and takes no others."""
    problems = []
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            if schema.get("additionalProperties") is not False:
                problems.append(where + ": takes unknown fields")
            if sorted(schema.get("required", [])) != sorted(schema.get("properties", {})):
                problems.append(where + ": a field is not required")
        for key, value in schema.items():
            problems += check_schema(value, where + "/" + key)
    elif isinstance(schema, list):
        for i, value in enumerate(schema):
            problems += check_schema(value, "%s/%d" % (where, i))
    return problems


def main():
    args = argparse.ArgumentParser()
    args.add_argument("schema")
    args.add_argument("--mutate", action="store_true")
    args = args.parse_args()
    with open(args.schema, encoding="utf-8") as f:
        schema = json.load(f, object_pairs_hook=no_duplicates)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    problems = check_schema(schema)
    lines = spoilt = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        lines += 1
        try:
            value = parse(line)
        except ValueError as e:
            problems.append("line %d: %s" % (number, e))
            continue
        errors = list(validator.iter_errors(value))
        problems += ["line %d: %s: %s" % (number, "/".join(map(str, e.absolute_path)), e.message)
                     for e in errors]
        if args.mutate and not errors:
            for what, bad in Mutator(schema).spoilt(value):
                spoilt += 1
                if validator.is_valid(bad):
                    problems.append("line %d: accepted although spoilt: %s" % (number, what))
    if not lines:
        problems.append("no line to check")
    for problem in problems[:50]:
        print(problem, file=sys.stderr)
    if not problems:
        print("%d lines valid%s" % (lines, ", %d mutations refused" % spoilt if spoilt else ""))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
