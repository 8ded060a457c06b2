"""Compares what the code asks of DynamoDB, what the policies of infra/aws/data.yaml allow, and what docs/operations.md says.

All three are parsed, and have to be equal for each table and kind of process: what is called and not allowed would fail in
production, and what is allowed and not called is a right that nobody needs.
"""

import re
import sys
from pathlib import Path

from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).resolve().parent.parent
TABLES = ("control", "evidence")
# What changes items or tables; reads are what is left.
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}
# What only a controller, or whoever asks for its evidence, calls: no process for decisions alone does.
OF_THE_CONTROLLER = {"analytics.rs", "cursors.rs", "lease.rs"}
# What nobody may do to the control table, whatever else they are allowed.
NEVER_ON_CONTROL = {"BatchWriteItem", "DeleteItem", "PartiQLDelete", "PartiQLUpdate", "UpdateItem"}
# Except for DynamoDB itself where the table is in several Regions: denied to this role, replication stops, and the replica is lost.
REPLICATION = {
    "ArnNotEquals": {
        "aws:PrincipalArn": {
            "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role/"
            "replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication"
        }
    }
}


def called():
    """The operations in src/store: {(file, table): {operation, …}}."""
    calls = {}
    start = re.compile(r"\b(?:client|once)\s*\.\s*([a-z_]+)\(\)")
    for file in sorted((ROOT / "src/store").rglob("*.rs")):
        # What connects asks for nothing.
        if file.name in ("tests.rs", "connection.rs"):
            continue
        text = file.read_text().split("#[cfg(test)]")[0]
        matches = list(start.finditer(text))
        for place, match in enumerate(matches):
            end = matches[place + 1].start() if place + 1 < len(matches) else len(text)
            target = re.search(r"(?:self|store)\s*\.(control|evidence)_table|table_name\(name\)", text[match.end() : end])
            if not target:
                sys.exit(f"policies: {file}: to which table does {match[1]} go?")
            tables = [target[1]] if target[1] else TABLES
            operation = "".join(word.capitalize() for word in match[1].split("_"))
            for table in tables:
                calls.setdefault((file.name, table), set()).add(operation)
    return calls


def needed(calls):
    """What each process calls: {process: {table: {operation, …}}}."""

    def union(table, is_meant):
        return set().union(*(ops for (file, of), ops in calls.items() if of == table and is_meant(file)))

    everything = {table: union(table, lambda file: file != "table.rs") | {"DescribeTable"} for table in TABLES}
    return {
        # The controller is left out, and what would write to the control table is refused inside.
        "serve --decisions-only": {
            "control": everything["control"] - WRITES,
            "evidence": union("evidence", lambda file: file not in {"table.rs", *OF_THE_CONTROLLER}) | {"DescribeTable"},
        },
        "serve": everything,
        "table create": {table: union(table, lambda file: file == "table.rs") for table in TABLES},
    }


def documented():
    """The same from the table under *Least privilege*."""
    text = (ROOT / "docs/operations.md").read_text().split("## Least privilege")[1].split("\n## ")[0]
    rows, before = {}, None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not cells[0].startswith("`"):
            continue
        sets = {}
        for table, cell in zip(TABLES, cells[1:]):
            sets[table] = set(re.findall(r"`(\w+)`", cell))
            if cell.startswith("the same"):
                sets[table] |= before[table]
        rows[cells[0].strip("`")] = before = sets
    return rows


def allowed(template, policy):
    """What a managed policy of the template comes to, and what it denies: each {table: {operation, …}}."""
    allow, deny = ({table: set() for table in TABLES} for _ in range(2))
    for statement in template["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"]:
        table = "control" if "ControlTableName" in statement["Resource"]["Fn::Sub"] else "evidence"
        kind = {"Allow": allow, "Deny": deny}[statement["Effect"]]
        for action in statement["Action"]:
            service, operation = action.split(":")
            if service != "dynamodb" or "*" in operation:
                sys.exit(f"policies: {policy} has {action}, which this check does not understand")
            kind[table].add(operation)
    return {table: allow[table] - deny[table] for table in TABLES}, deny


def table_policies(template):
    """The policies that the control table has of its own, and the condition under which each denies: in one Region, where nobody is
    left out, and in each of several."""
    yield "the control table", template["Resources"]["ControlTable"]["Properties"]["ResourcePolicy"], None
    several = cfn_yaml.load(str(ROOT / "infra/aws/global-control.yaml"))
    for place, replica in enumerate(several["Resources"]["ControlTable"]["Properties"]["Replicas"], 1):
        name, policy = f"replica {place} of the control table", replica["ResourcePolicy"]
        # CloudFormation cannot make it with its policy elsewhere than where the stack is.
        if replica["Region"] != {"Ref": "AWS::Region"}:
            condition, policy, otherwise = policy.get("Fn::If", (None, policy, None))
            is_there_at_once = several.get("Conditions", {}).get(condition) != {"Fn::Equals": [{"Ref": condition}, "true"]}
            if is_there_at_once or otherwise != {"Ref": "AWS::NoValue"} or several["Parameters"][condition]["Default"] != "false":
                sys.exit(f"policies: {name} has its policy from the start, and cannot be made")
        yield name, policy, REPLICATION


def main():
    template = cfn_yaml.load(str(ROOT / "infra/aws/data.yaml"))
    calls, docs = needed(called()), documented()
    failures = []

    def compare(process, table, what, found):
        wanted = calls[process][table]
        if found - wanted:
            failures.append(f"{what}: `{process}` may {sorted(found - wanted)} on {table}, and never does")
        if wanted - found:
            failures.append(f"{what}: `{process}` does {sorted(wanted - found)} on {table}, and may not")

    for process in calls:
        for table in TABLES:
            compare(process, table, "docs/operations.md", docs.get(process, {}).get(table, set()))
    for process, policy in ("serve --decisions-only", "DecisionsPolicy"), ("serve", "ControlPolicy"):
        allow, deny = allowed(template, policy)
        for table in TABLES:
            compare(process, table, policy, allow[table])
        wanted = NEVER_ON_CONTROL | ({"PutItem"} if process != "serve" else set())
        if wanted - deny["control"]:
            failures.append(f"{policy} does not deny {sorted(wanted - deny['control'])} on the control table")
    for name, policy, condition in table_policies(template):
        denials = [statement for statement in policy["PolicyDocument"]["Statement"] if statement["Effect"] == "Deny"]
        denied = {
            action.split(":")[1] for statement in denials if statement["Principal"] == "*" for action in statement["Action"]
        }
        if denied != NEVER_ON_CONTROL:
            failures.append(f"{name} itself denies {sorted(denied)}, not {sorted(NEVER_ON_CONTROL)}")
        if any(statement.get("Condition") != condition for statement in denials):
            failures.append(f"{name} itself does not deny it to {'all but the replication of DynamoDB' if condition else 'everybody'}")

    for failure in failures:
        print(f"policies: {failure}")
    if failures:
        sys.exit(1)
    for process, tables in calls.items():
        for table, operations in tables.items():
            print(f"policies: `{process}` on {table}: {', '.join(sorted(operations))}")


main()
