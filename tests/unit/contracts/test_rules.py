"""Rules that a team wrote: those that can judge nothing, and those that fail for some inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskwire_contracts import Contracts, build, check_rules, load
from taskwire_contracts.validation import Rules
from taskwire_core.errors import ConfigurationError

HEAD = """
syntax = "proto3";
package acme.v1;
import "buf/validate/validate.proto";
import "taskwire/v1/options.proto";
service Tasks {
  rpc Invite(InviteRequest) returns (InviteResponse) { option (taskwire.v1.task) = {}; }
}
message InviteResponse {}
"""
FIRST_IS_NOT_THE_OWNER = """
message InviteRequest {
  option (buf.validate.message).cel = {
    id: "not_the_owner"
    message: "the owner is invited already"
    expression: "this.names[0] != this.owner"
  };
  repeated string names = 1;
  string owner = 2 [(buf.validate.field).string.max_len = 5];
}
"""


def contracts(folder: Path, messages: str) -> Contracts:
    (folder / "protos").mkdir()
    (folder / "protos" / "a.proto").write_text(HEAD + messages)
    return build(folder / "protos", folder / "a.binpb")


@pytest.fixture
def invite(tmp_path: Path) -> Any:  # a class that the test has built
    return contracts(tmp_path, FIRST_IS_NOT_THE_OWNER).types["acme.v1.Tasks/Invite"].input_class


def test_a_rule_that_fails_for_an_input_is_a_violation_of_it(invite: Any) -> None:
    (found,) = Rules().violations(invite(), "input")
    assert found.field == "input"
    assert "cannot be judged by one of its rules" in found.description
    assert "index" not in found.description, "protovalidate's own words are for nobody"


def test_it_is_one_beside_others_too(invite: Any) -> None:
    (found,) = Rules().violations(invite(owner="longer than that"), "input")
    assert "cannot be judged" in found.description


def test_the_same_rule_judges_other_inputs(invite: Any) -> None:
    assert Rules().violations(invite(names=["bob"], owner="ada")) == []
    (found,) = Rules().violations(invite(names=["ada"], owner="ada"))
    assert found.rule == "not_the_owner"


@pytest.mark.parametrize(
    "messages",
    [
        "message InviteRequest { int32 age = 1 [(buf.validate.field).string.min_len = 1]; }",
        """message InviteRequest { repeated Guest guests = 1; }
           message Guest { int32 age = 1 [(buf.validate.field).string.min_len = 1]; }""",
        """message InviteRequest { map<string, Guest> guests = 1; }
           message Guest { InviteRequest more = 1; int32 age = 2 [
               (buf.validate.field).cel = {id: "string.", expression: "this. !"}]; }""",
    ],
    ids=["of another type", "in a list", "no CEL"],
)
def test_a_rule_that_can_judge_nothing_is_refused_with_its_type(
    tmp_path: Path, messages: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"task acme\.v1\.Tasks/Invite") as raised:
        contracts(tmp_path, messages)
    assert "string" in str(raised.value), "the rule"
    assert "\n" not in str(raised.value)
    # What a service loads, from wherever it comes.
    with pytest.raises(ConfigurationError):
        check_rules(load([tmp_path / "a.binpb"]))
