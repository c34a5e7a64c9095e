#!/usr/bin/env python3
"""Holds requests and answers of a real server against its OpenAPI document, and says what differs.

    build/python/bin/python tests/e2e/openapi_answers.py DOCUMENT EXCHANGES

EXCHANGES is JSON: a list of {"method", "path", "body", "status", "headers", "answer"}. Objects of the document are closed
first: a member of an answer that the document does not have is a difference, and so is one of the document that no answer
had (but for those in RARE). Prints a line for each difference; none: nothing.
"""
import copy
import json
import re
import sys
import urllib.parse

import jsonschema

# What takes a failing disk, a race or a long time to be seen.
RARE_MEMBERS = {
    "Problem.outcome", "Problem.start", "Problem.first", "RecordPage.lost", "LostRange.first", "LostRange.last",
    "Ingested.behind", "ViewList.failed.name", "ViewList.failed.cause", "SqlRows.truncated", "Group.last_error.message",
    "Group.last_error.time", "ViewVerified.differences.key", "ViewVerified.differences.live",
    "ViewVerified.differences.rebuilt", "Building.source", "Building.columns", "Building.from", "Building.at",
    "Building.of", "Building.rows", "Building.parked", "ViewSummary.building", "ViewStatement.building",
    "Why.records.reason", "Why.records.edited", "Decided.decision", "Derived.latest_parked",
}
RARE_STATUSES = {("view_decide", "202"), ("view_decide_many", "202"), ("readyz", "503"), ("readyz_ingest", "503")}


def resolve(document, schema):
    while "$ref" in schema:
        target = document
        for part in schema["$ref"].split("/")[1:]:
            target = target[part]
        schema = target
    return schema


def close(document, schema, top=True):
    """The schema, with no members but those it names."""
    if not isinstance(schema, dict):
        return schema
    schema = copy.deepcopy(schema)
    if "$ref" in schema:
        return schema if top else close(document, resolve(document, schema), False)
    if "allOf" in schema:
        schema["allOf"] = [close(document, one, False) for one in schema["allOf"]]
        if top:
            schema["unevaluatedProperties"] = False
    for name, one in schema.get("properties", {}).items():
        schema["properties"][name] = close(document, one)
    if "properties" in schema and "additionalProperties" not in schema and top:
        schema["unevaluatedProperties"] = False
    if "items" in schema:
        schema["items"] = close(document, schema["items"])
    for kind in ("anyOf", "oneOf"):
        if kind in schema and top:
            schema[kind] = [close(document, one) for one in schema[kind]]
    return schema


class Checker:
    def __init__(self, document):
        self.document = document
        self.closed = copy.deepcopy(document)
        schemas = self.closed["components"]["schemas"]
        for name in schemas:
            schemas[name] = close(document, document["components"]["schemas"][name])
        self.trouble = []
        self.members = set()  # of schemas, that were seen
        self.statuses = set()
        self.paths = [(re.compile(re.sub(r"\\\{[a-z0-9]+\\\}", "[^/]+", re.escape(path)) + "$"), path.count("{"), path)
                      for path in document["paths"]]
        self.paths.sort(key=lambda p: p[1])  # a path without parameters comes first

    def errors(self, schema, instance):
        root = {**close(self.document, schema), "components": self.closed["components"]}
        validator = jsonschema.Draft202012Validator(root, format_checker=jsonschema.FormatChecker(["date-time"]))
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(instance)]

    def note(self, schema, instance, name=""):
        """Which members of which schemas the instance has."""
        if "$ref" in schema:
            name = schema["$ref"].split("/")[-1]
        schema = resolve(self.document, schema)
        for one in schema.get("allOf", []):
            self.note(one, instance, name)
        for one in schema.get("anyOf", []):
            if not self.errors(one, instance):
                self.note(one, instance, name)
        for one in schema.get("oneOf", []):  # of members beside others: not closed
            if jsonschema.Draft202012Validator({**one, "components": self.document["components"]}).is_valid(instance):
                self.note(one, instance, name)
        if isinstance(instance, dict):
            for member, of in schema.get("properties", {}).items():
                if member in instance:
                    self.members.add(f"{name}.{member}")
                    self.note(of, instance[member], f"{name}.{member}")
        elif isinstance(instance, list) and "items" in schema:
            for one in instance:
                self.note(schema["items"], one, name)

    def exchange(self, e):
        where = f"{e['method']} {e['path']} {e['status']}"
        say = lambda text: self.trouble.append(f"{where}: {text}")
        path, _, query = e["path"].partition("?")
        template = next((t for pattern, _, t in self.paths if pattern.match(path)), None)
        if template is None or e["method"].lower() not in self.document["paths"][template]:
            return say("is not in the document") if e["status"] not in (404, 405) else None
        operation = self.document["paths"][template][e["method"].lower()]
        status = str(e["status"])
        good = e["status"] < 400
        response = operation["responses"].get(status)
        if response is None:
            if good:
                return say("the document has no such status")
            response = resolve(self.document, operation["responses"]["default"])
        else:
            self.statuses.add((operation["operationId"], status))
        # What came.
        kind = e["headers"].get("content-type", "").partition(";")[0]
        content = response.get("content", {})
        if kind not in content and (content or e["answer"]):
            return say(f"the document has no {kind} there")
        if "json" in kind and "ndjson" not in kind and e["answer"]:
            schema, instance = content[kind]["schema"], json.loads(e["answer"])
            for error in self.errors(schema, instance):
                say(error)
            self.note(schema, instance)
            if not good and "x-error-codes" in response and instance["code"] not in response["x-error-codes"]:
                say(f"the document has no {instance['code']} there")
        for name in response.get("headers", {}):
            if name in ("WWW-Authenticate", "ETag") and name.lower() not in e["headers"]:
                say(f"has no {name}")
        for name in ("RateLimit", "RateLimit-Policy"):
            if name.lower() in e["headers"] and name not in response.get("headers", {}):
                say(f"the document has no {name} there")
        # What was asked with, where it was taken.
        if not good:
            return
        known = {p["name"]: p for p in operation.get("parameters", []) if p["in"] == "query"}
        given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        for name, value in given.items():
            if name not in known:
                say(f"the document has no parameter {name}")
                continue
            kind = resolve(self.document, known[name]["schema"]).get("type")
            if kind in ("integer", "boolean"):
                value = json.loads(value)
            for error in self.errors(known[name]["schema"], value):
                say(f"parameter {name}: {error}")
        for name, parameter in known.items():
            if parameter.get("required") and name not in given:
                say(f"was taken without {name}")
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body and e["body"] and e.get("type", "").startswith("application/json"):
            instance = json.loads(e["body"])
            for error in self.errors(body["schema"], instance):
                say(f"body: {error}")
            self.note(body["schema"], instance)

    def examples(self):
        """Every example is what its schema says; one that is text of another type can be read as that."""
        def check(where, content):
            for kind, one in content.items():
                given = [one["example"]] if "example" in one else [v["value"] for v in one.get("examples", {}).values()]
                for value in given:
                    self.trouble += [f"{where}: example: {error}" for error in self.errors(one["schema"], value)]
                    if kind == "application/x-ndjson":
                        [json.loads(line) for line in value.splitlines()]
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                check(f"{method} {path}", operation.get("requestBody", {}).get("content", {}))
                for status, response in operation["responses"].items():
                    check(f"{method} {path} {status}", resolve(self.document, response).get("content", {}))

    def finish(self):
        """What the document has and nobody saw."""
        used = set()

        def members(schema, name):
            if "$ref" in schema:
                return
            for one in schema.get("allOf", []) + schema.get("anyOf", []) + schema.get("oneOf", []):
                members(one, name)
            for member, of in schema.get("properties", {}).items():
                used.add(f"{name}.{member}")
                members(of, f"{name}.{member}")
            if isinstance(schema.get("items"), dict):
                members(schema["items"], name)

        for name, schema in self.document["components"]["schemas"].items():
            members(schema, name)
        for member in sorted(used - self.members - RARE_MEMBERS):
            self.trouble.append(f"the document has {member}, and nothing had it")
        for path in self.document["paths"].values():
            for operation in path.values():
                id = operation["operationId"]
                seen = {status for of, status in self.statuses if of == id}
                for status in operation["responses"]:
                    if status < "400" and status not in seen and (id, status) not in RARE_STATUSES:
                        self.trouble.append(f"{id}: {status} was not seen")
                problems = {s for s in operation["responses"] if s.isdigit() and s >= "400"} - {"503"}
                if problems and not problems & seen:
                    self.trouble.append(f"{id}: no problem was seen")


def main():
    document, exchanges = (json.load(open(name)) for name in sys.argv[1:3])
    checker = Checker(document)
    for e in exchanges:
        checker.exchange(e)
    checker.examples()
    checker.finish()
    print("\n".join(checker.trouble))
    return 1 if checker.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
