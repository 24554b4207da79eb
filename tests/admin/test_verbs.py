"""The table of verbs, and that no face lacks one."""

from __future__ import annotations

import pytest

from waitroom.admin.api.openapi import document
from waitroom.admin.places import PLACES, in_path
from waitroom.admin.verbs import VERBS
from waitroom.admin.verbs.export import as_csv, as_json_lines


def test_every_verb_has_a_place_in_the_api_and_no_place_is_without_a_verb() -> None:
    assert set(PLACES) == set(VERBS)
    assert len(set(PLACES.values())) == len(PLACES)


@pytest.mark.parametrize("name", VERBS)
def test_what_changes_nothing_is_a_get_and_the_path_names_the_room(name: str) -> None:
    method, path = PLACES[name]
    verb = VERBS[name]
    assert (method == "GET") is (not verb.changes) or name == "forecast", "which has arguments of any form"
    assert ("room" in in_path(path)) is verb.of_room
    assert set(in_path(path)) - {"room"} <= set(verb.arguments.model_fields)


def test_the_description_names_every_verb_with_its_arguments() -> None:
    described = {
        operation["operationId"]: operation for path in document()["paths"].values() for operation in path.values()
    }
    assert set(described) == set(VERBS)
    for name, operation in described.items():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        told = {one["name"] for one in operation.get("parameters", ())} | set(body.get("properties", ()))
        assert set(VERBS[name].arguments.model_fields) <= told
        assert operation["x-role"] in {"viewer", "operator", "admin"}


def test_a_cell_of_a_spreadsheet_never_reads_as_a_formula() -> None:
    assert as_csv([{"reason": "=HYPERLINK(1)", "n": -1, "steps": {"rate": [1, None]}}]).splitlines() == [
        "reason,n,steps",
        '\'=HYPERLINK(1),-1,"{""rate"": [1, null]}"',
    ]
    assert as_csv([]) == ""
    assert as_json_lines([{"shop": "é"}]) == '{"shop": "é"}\n'
