"""What template.yaml promises: nothing moves until asked, and nothing is lost when something fails."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from apply_changes import app
from tests.support.paths import ROOT


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags: `!Ref X` reads as {"Ref": "X"}, `!Sub x` as {"Fn::Sub": "x"}."""


def intrinsic(loader: Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


Loader.add_multi_constructor("!", intrinsic)

TEMPLATE: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader)
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
FUNCTION: dict[str, Any] = RESOURCES["ApplyChangesFunction"]["Properties"]
MAPPING: dict[str, Any] = FUNCTION["Events"]["RowChanges"]["Properties"]
CONTAINER: dict[str, Any] = RESOURCES["CapturerTaskDefinition"]["Properties"]["ContainerDefinitions"][0]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def actions(role: str) -> set[str]:
    found: set[str] = set()
    for name, statement in statements():
        listed = statement["Action"]
        found |= ({listed} if isinstance(listed, str) else set(listed)) if name == role else set()
    return found


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("Ref"), str):
            yield value["Ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def test_the_function_has_most_of_its_time_for_writes() -> None:
    assert FUNCTION["Timeout"] * 1000 > 3 * app.MARGIN


def test_the_switch_is_off_until_asked() -> None:
    assert PARAMETERS["Switch"]["Default"] == "OFF"
    assert TEMPLATE["Conditions"]["SwitchIsOn"] == {"Fn::Equals": [{"Ref": "Switch"}, "ON"]}
    assert MAPPING["Enabled"] == {"Fn::If": ["SwitchIsOn", True, False]}


def test_names_and_values_do_not_read_as_booleans() -> None:
    assert PARAMETERS["Switch"]["AllowedValues"] == ["ON", "OFF"]
    assert all(
        isinstance(name, str)
        for section in TEMPLATE.values()
        if isinstance(section, dict)
        for name in section
    )


def test_a_plain_deploy_leaves_the_parameters_alone() -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert "parameter_overrides" not in json.dumps(settings)


def test_what_waited_for_the_bulk_load_is_applied() -> None:
    assert MAPPING["StartingPosition"] == "TRIM_HORIZON"
    assert "FilterCriteria" not in MAPPING


def test_only_the_part_of_a_batch_that_failed_is_delivered_again() -> None:
    assert MAPPING["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert MAPPING["BisectBatchOnFunctionError"] is True


def test_no_record_is_given_up_for_its_age_or_its_tries() -> None:
    assert MAPPING["MaximumRecordAgeInSeconds"] == -1
    assert MAPPING["MaximumRetryAttempts"] == -1


def test_what_lambda_gives_up_is_kept_whole() -> None:
    destination = MAPPING["DestinationConfig"]["OnFailure"]
    assert destination == {"Type": "S3", "Destination": {"Fn::GetAtt": ["FailureBucket", "Arn"]}}


@pytest.mark.parametrize("name", ["PurchaseTable", "ControlTable", "Quarantine", "FailureBucket"])
def test_data_outlives_the_stack(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", of_type("AWS::DynamoDB::Table"))
def test_tables_can_be_restored_to_any_moment_and_take_any_rate(name: str) -> None:
    properties = RESOURCES[name]["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_tombstones_expire() -> None:
    expiry = RESOURCES["PurchaseTable"]["Properties"]["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": "_ttl", "Enabled": True}


def test_of_the_control_table_only_what_says_so_expires() -> None:
    expiry = RESOURCES["ControlTable"]["Properties"]["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": "_ttl", "Enabled": True}


def test_tombstones_outlive_every_record_of_a_stream() -> None:
    assert PARAMETERS["TombstoneDays"]["Default"] * 24 > PARAMETERS["StreamRetentionHours"]["MaxValue"]


def test_what_holds_row_values_is_encrypted() -> None:
    stream = RESOURCES["RowChangeStream"]["Properties"]
    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    assert RESOURCES["Quarantine"]["Properties"]["SqsManagedSseEnabled"] is True
    bucket = RESOURCES["FailureBucket"]["Properties"]
    assert "BucketEncryption" in bucket
    assert all(bucket["PublicAccessBlockConfiguration"].values())


def test_the_stream_keeps_changes_as_long_as_the_operator_says() -> None:
    assert RESOURCES["RowChangeStream"]["Properties"]["RetentionPeriodHours"] == {
        "Ref": "StreamRetentionHours"
    }
    assert PARAMETERS["StreamRetentionHours"]["Default"] >= 168


def test_the_quarantine_keeps_changes_as_long_as_a_queue_can() -> None:
    assert RESOURCES["Quarantine"]["Properties"]["MessageRetentionPeriod"] == 14 * 86_400


def test_no_capturer_runs_until_asked() -> None:
    assert PARAMETERS["CapturerCount"]["Default"] == 0
    assert RESOURCES["CapturerService"]["Properties"]["DesiredCount"] == {"Ref": "CapturerCount"}
    assert RESOURCES["CapturerService"]["Condition"] == "SubnetsGiven"
    assert "Condition" not in RESOURCES["CapturerTaskDefinition"]


def test_the_capturer_cannot_write_to_its_file_system_or_become_root() -> None:
    assert CONTAINER["ReadonlyRootFilesystem"] is True
    assert not CONTAINER["User"].startswith(("0", "root"))
    assert CONTAINER["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert CONTAINER["User"] in (ROOT / "capturer/Dockerfile").read_text()


def test_the_capturer_has_time_to_write_its_checkpoint() -> None:
    assert 60 <= CONTAINER["StopTimeout"] <= 120  # 120 is the most that Fargate grants


def test_a_deployment_ends_the_old_capturer_first() -> None:
    assert RESOURCES["CapturerService"]["Properties"]["DeploymentConfiguration"]["MaximumPercent"] == 100


def test_the_password_comes_from_the_secret_alone() -> None:
    assert [secret["Name"] for secret in CONTAINER["Secrets"]] == ["SOURCE_PASSWORD"]
    assert not [entry for entry in CONTAINER["Environment"] if "PASSWORD" in entry["Name"]]
    assert not [name for name in PARAMETERS if "Password" in name]


@pytest.mark.parametrize("name", of_type("AWS::Logs::LogGroup"))
def test_logs_end_some_day(name: str) -> None:
    assert RESOURCES[name]["Properties"]["RetentionInDays"] > 0


def test_permissions_name_what_they_are_for() -> None:
    open_ended = [statement["Action"] for _, statement in statements() if statement["Resource"] == "*"]
    assert open_ended == ["ecr:GetAuthorizationToken"]  # an action without resources
    assert not [statement for _, statement in statements() if "*" in json.dumps(statement["Action"])]
    assert not [
        role for role in of_type("AWS::IAM::Role").values() if "ManagedPolicyArns" in role["Properties"]
    ]
    assert FUNCTION["Role"] == {"Fn::GetAtt": ["ApplyChangesRole", "Arn"]}  # or SAM adds policies of its own


def test_nobody_may_delete_items_or_read_the_quarantine() -> None:
    assert {action for action in actions("ApplyChangesRole") if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }
    assert {action for action in actions("ApplyChangesRole") if action.startswith("sqs:")} == {
        "sqs:SendMessage"
    }


def test_the_capturer_may_not_touch_items() -> None:
    touched = [
        statement["Resource"]
        for name, statement in statements()
        if name == "CapturerRole" and "dynamodb:PutItem" in statement["Action"]
    ]
    assert touched == [{"Fn::GetAtt": ["ControlTable", "Arn"]}]


TARGET = {
    "Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${TargetTableName}"
}


def test_the_load_may_write_its_tables_and_ask_for_its_stack_and_no_more() -> None:
    granted = {
        statement["Sid"]: statement["Resource"] for name, statement in statements() if name == "LoadRole"
    }
    assert granted == {
        "WriteItems": TARGET,
        "KeepPlanAndProgress": {"Fn::GetAtt": ["ControlTable", "Arn"]},
        "FindSwitchAndTables": {"Ref": "AWS::StackId"},
    }
    deleting = [
        statement["Resource"]
        for name, statement in statements()
        if name == "LoadRole" and "dynamodb:DeleteItem" in statement["Action"]
    ]
    assert deleting == [{"Fn::GetAtt": ["ControlTable", "Arn"]}]


def test_the_load_runs_from_the_capturers_image_with_its_mapping() -> None:
    (container,) = RESOURCES["LoadTaskDefinition"]["Properties"]["ContainerDefinitions"]
    assert container["Image"] == CONTAINER["Image"]
    assert container["EntryPoint"][-3:] == ["load", "--mapping", {"Ref": "MappingFile"}]
    assert container["ReadonlyRootFilesystem"] is True and container["User"] == CONTAINER["User"]
    assert [secret["Name"] for secret in container["Secrets"]] == ["ROWFERRY_SOURCE_PASSWORD"]
    assert container["Secrets"][0]["ValueFrom"] == CONTAINER["Secrets"][0]["ValueFrom"]


def test_every_alarm_tells_the_topic_and_says_what_to_do() -> None:
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert set(alarms) == {
        "ApplyChangesFails",
        "CapturerStopped",
        "ChangesNearExpiry",
        "QuarantineNotEmpty",
        "RecordsSetAside",
    }
    for alarm in alarms.values():
        assert "AlarmTopic" in refs(alarm["Properties"]["AlarmActions"])
        assert alarm["Properties"]["AlarmDescription"]


def test_the_age_alarm_rings_while_there_is_time() -> None:
    threshold = RESOURCES["ChangesNearExpiry"]["Properties"]["Threshold"]["Fn::Sub"]
    for hours in (24, 168, 8760):
        milliseconds = int(threshold.replace("${StreamRetentionHours}", str(hours)))
        assert 0.2 < milliseconds / (hours * 3_600_000) < 0.5


def test_a_capturer_that_ends_rings_though_it_sends_nothing() -> None:
    assert RESOURCES["CapturerStopped"]["Properties"]["TreatMissingData"] == "breaching"


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_says_what_goes_wrong_and_has_a_default(name: str) -> None:
    assert len(PARAMETERS[name]["Description"].split()) >= 10
    assert "Default" in PARAMETERS[name]


def test_the_console_shows_every_parameter_in_one_group() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(PARAMETERS)


def test_every_parameter_is_used() -> None:
    text = (ROOT / "template.yaml").read_text()
    used = set(refs(TEMPLATE)) | {name for name in PARAMETERS if f"${{{name}}}" in text}
    assert set(PARAMETERS) <= used


def test_the_consumer_and_the_capturer_read_one_mapping_file() -> None:
    mapping = {"Ref": "MappingFile"}
    assert FUNCTION["Environment"]["Variables"]["MAPPING_FILE"] == mapping
    assert {"Name": "MAPPING_FILE", "Value": mapping} in CONTAINER["Environment"]
    assert (ROOT / "functions" / PARAMETERS["MappingFile"]["Default"]).is_file()


def test_the_example_table_is_the_one_that_the_example_mapping_names() -> None:
    mapping = tomllib.loads((ROOT / "functions" / PARAMETERS["MappingFile"]["Default"]).read_text())
    table = mapping["table"][0]
    keys = [
        {"AttributeName": table[key]["attribute"], "KeyType": kind}
        for key, kind in (("hash_key", "HASH"), ("range_key", "RANGE"))
    ]
    assert table["target"] == PARAMETERS["TargetTableName"]["Default"]
    assert keys == RESOURCES["PurchaseTable"]["Properties"]["KeySchema"]


def test_the_capturer_can_be_given_what_its_fixes_name() -> None:
    for variable, parameter in (("SKIP", "CapturerSkip"), ("CAPTURER_RESET", "CapturerReset")):
        assert {"Name": variable, "Value": {"Ref": parameter}} in CONTAINER["Environment"]
    either = {"Fn::If": ["ResetByFormerName", {"Ref": "CapturerAnew"}, {"Ref": "CapturerReset"}]}
    assert {"Name": "ANEW", "Value": either} in CONTAINER["Environment"], "an image of 0.1 reads no other"
    assert PARAMETERS["CapturerReset"]["Default"] == PARAMETERS["CapturerAnew"]["Default"] == ""
    allowed = re.compile(PARAMETERS["CapturerSkip"]["AllowedPattern"])
    assert all(map(allowed.search, ("", "binlog.000012:4711", "b.1:4,b.2:157")))
    assert not any(map(allowed.search, ("binlog.000012", "b.1:4;b.2:4", "b.1:4,")))


def _value(node: Any, given: dict[str, str]) -> Any:
    """What a condition or rule comes to, with these parameters."""
    match node:
        case {"Ref": name}:
            return given[name]
        case {"Fn::Equals": [one, other]}:
            return _value(one, given) == _value(other, given)
        case {"Fn::Not": [inner]}:
            return not _value(inner, given)
        case {"Fn::Or": parts}:
            return any(_value(part, given) for part in parts)
    return node


@pytest.mark.parametrize(
    ("reset", "anew", "deploys"),
    [("", "", True), ("", "x", True), ("x", "", True), ("x", "x", True), ("y", "x", False)],
)
def test_a_reset_under_two_names_needs_one_word(reset: str, anew: str, deploys: bool) -> None:
    rule = TEMPLATE["Rules"]["ResetHasOneWord"]
    given = {"CapturerReset": reset, "CapturerAnew": anew}
    applies = _value(rule["RuleCondition"], given)
    assert (not applies or all(_value(one["Assert"], given) for one in rule["Assertions"])) is deploys


def test_the_outputs_name_what_the_operator_needs() -> None:
    needed = {
        *("SwitchState", "StreamName", "StreamArn", "ControlTableName", "TargetTableName", "QuarantineUrl"),
        *("FailureBucket", "FunctionName", "EventSourceMappingId", "ClusterName", "ServiceName"),
    }
    assert needed <= set(TEMPLATE["Outputs"])


def test_the_target_may_be_left_to_an_import() -> None:
    assert RESOURCES["PurchaseTable"]["Condition"] == "TargetIsCreated"
    assert (ROOT / "template.yaml").read_text().count("PurchaseTable") == 1  # nothing else needs it


def test_nothing_of_spark_is_there_until_asked() -> None:
    spark = {name: resource for name, resource in RESOURCES.items() if name.startswith("Spark")}
    assert spark.keys() == {"SparkApplication", "SparkRole"}
    assert {resource["Condition"] for resource in spark.values()} == {"SparkIsWanted"}
    assert TEMPLATE["Parameters"]["SparkRelease"]["Default"] == ""
    policy = RESOURCES["CapturerRepository"]["Properties"]["RepositoryPolicyText"]["Fn::If"]
    assert (policy[0], policy[2]) == ("SparkIsWanted", {"Ref": "AWS::NoValue"})


def test_sparks_jobs_may_write_one_bucket_the_target_and_what_the_load_keeps() -> None:
    granted = {
        statement["Sid"]: statement["Resource"] for name, statement in statements() if name == "SparkRole"
    }
    assert granted["WriteItems"] == TARGET
    assert granted["KeepPlanAndProgress"] == {"Fn::GetAtt": ["ControlTable", "Arn"]}
    assert granted["ReadAndWriteFiles"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::${SparkBucket}/*"}
    written = {
        json.dumps(statement["Resource"])
        for name, statement in statements()
        if name == "SparkRole" and {"dynamodb:BatchWriteItem", "s3:PutObject"} & set(statement["Action"])
    }
    assert len(written) == 2  # by no other statement
