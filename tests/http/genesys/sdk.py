"""Asks the organisation at URL with the official SDK, and fails at the first answer that is not what it should be.

    sdk.py URL CLIENT_ID CLIENT_SECRET FROM UNTIL
"""

import sys

import PureCloudPlatformClientV2 as genesys
from PureCloudPlatformClientV2.rest import ApiException

url, client_id, client_secret, start, end = sys.argv[1:]
# The SDK's own way to other hosts: the login host is this one with `api.` replaced, and there is none.
genesys.configuration.host = url
client = genesys.api_client.ApiClient().get_client_credentials_token(client_id, client_secret)


def refused(status, call, *arguments, **members):
    try:
        call(*arguments, **members)
    except ApiException as error:
        assert error.status == status, error
        return
    raise AssertionError(f"{call.__name__} was not refused")


def predicate(dimension, value):
    made = genesys.FlowAggregateQueryPredicate()
    made.type, made.dimension, made.operator, made.value = "dimension", dimension, "matches", value
    return made


clause = genesys.FlowAggregateQueryClause()
clause.type = "or"
clause.predicates = [predicate("flowId", flow) for flow in ("blue", "green")]
only = genesys.FlowAggregateQueryFilter()
only.type = "and"
only.predicates = [predicate("mediaType", "voice")]
only.clauses = [clause]
query = genesys.FlowAggregationQuery()
query.interval = f"{start}/{end}"
query.granularity = "PT5M"
query.group_by = ["flowId", "flowVersion", "exitReason", "transferType"]
query.metrics = ["nFlow", "tFlowDisconnect"]
query.filter = only

analytics = genesys.AnalyticsApi(client)
answer = analytics.post_analytics_flows_aggregates_query(query)
assert isinstance(answer, genesys.FlowAggregateQueryResponse), answer
counts = {}
for container in answer.results:
    assert isinstance(container, genesys.FlowAggregateDataContainer), container
    for data in container.data:
        assert isinstance(data, genesys.StatisticalResponse), data
        by_metric = {row.metric: row.stats for row in data.metrics}
        assert isinstance(by_metric["tFlowDisconnect"].sum, (int, float))
        group = container.group
        place = (group["flowId"], group["flowVersion"], group["exitReason"], group.get("transferType"))
        counts[place] = counts.get(place, 0) + by_metric["nFlow"].count
assert counts == {
    ("blue", "45.0", "DISCONNECT", None): 2,
    ("green", "46.0", "TRANSFER", "ACD"): 1,
}, counts

architect = genesys.ArchitectApi(client)
flow = architect.get_flow("blue")
assert (flow.id, flow.name, flow.type, flow.active, flow.deleted) == ("blue", "Main IVR Blue", "INBOUNDCALL", True, False)
assert flow.published_version.id == "45.0", flow
assert flow.published_version.date_published is not None
assert (flow.locked_user, flow.locked_client) == (None, None), flow
assert (flow.current_operation.complete, flow.current_operation.action_status) == (True, "SUCCESS"), flow
flow = architect.get_flow("green")
assert isinstance(flow.locked_user, genesys.User) and flow.locked_user.name == "Anna", flow
operation = flow.current_operation
assert isinstance(operation, genesys.Operation), flow
assert (operation.complete, operation.action_name, operation.action_status) == (False, "PUBLISH", "PENDING_GENERATION"), flow
found = architect.get_flows(name="Main IVR Blue")
assert (found.total, found.page_count, [flow.id for flow in found.entities]) == (1, 1, ["blue"]), found
assert architect.get_flows(name="another").entities == []
refused(404, architect.get_flow, "another")

table = architect.get_flows_datatable("table", expand="schema")
assert isinstance(table, genesys.DataTable) and isinstance(table.schema, genesys.JsonSchemaDocument), table
assert (table.id, table.schema.properties["Traffic_Weight"]["type"]) == ("table", "number"), table
assert architect.get_flows_datatable("table").schema is None
refused(404, architect.get_flows_datatable, "another")

row = {"key": "Main_IVR", "Active_Flow_ID": "blue", "Traffic_Weight": 5}
refused(404, architect.get_flows_datatable_row, "table", "Main_IVR", showbrief=False)
refused(404, architect.post_flows_datatable_rows, "another", row)
refused(400, architect.post_flows_datatable_rows, "table", row | {"Another": 1})
assert architect.post_flows_datatable_rows("table", row) == row
refused(409, architect.post_flows_datatable_rows, "table", row)
row["Traffic_Weight"] = 25
assert architect.put_flows_datatable_row("table", "Main_IVR", body=row) == row
assert architect.get_flows_datatable_row("table", "Main_IVR", showbrief=False) == row
assert architect.get_flows_datatable_row("table", "Main_IVR", showbrief=True) == {"key": "Main_IVR"}
rows = architect.get_flows_datatable_rows("table", showbrief=False)
assert isinstance(rows, genesys.DataTableRowEntityListing), rows
assert (rows.total, rows.entities) == (1, [row]), rows
architect.delete_flows_datatable_row("table", "Main_IVR")
refused(404, architect.get_flows_datatable_row, "table", "Main_IVR", showbrief=False)

# What the mirror has written, and asked for; and the requests that the SDK makes for the same.
mirrored = architect.get_flows_datatable_row("mirrored", "Main_IVR", showbrief=False)
assert mirrored == {
    "key": "Main_IVR",
    "Active_Flow_ID": "5f0c9a52",
    "Active_Slot": "green",
    "Revision": 8,
    "Traffic_Weight": 12.5,
    "Note": "ask Anna",
}, mirrored
architect.get_flows_datatable("sdk", expand="schema")
row = {name: value for name, value in mirrored.items() if name != "Note"}
refused(404, architect.get_flows_datatable_row, "sdk", "Main_IVR", showbrief=False)
architect.post_flows_datatable_rows("sdk", row)
architect.get_flows_datatable_row("sdk", "Main_IVR", showbrief=False)
architect.put_flows_datatable_row("sdk", "Main_IVR", body=mirrored)

client.access_token = "another"
refused(401, architect.get_flow, "blue")
print("the SDK took every answer")
