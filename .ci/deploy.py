"""Deploys the templates of infra/aws into moto, an imitation of AWS, and runs the service on the tables that they made.

A full process and one for decisions alone share the tables, as they would in production: a flow version is registered at the
one, and a decision that the other makes has to follow it.

    deploy.py BINARY
"""

import itertools
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path

import boto3
import yaml
from cfnlint.decode import cfn_yaml
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parent.parent
REGION = "eu-central-1"
BLUE, GREEN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("TRAFFIC_COP_", "AWS_"))}


STAND_INS = {
    "Type: AWS::SecretsManager::Secret": "Type: AWS::SNS::Topic",
    ".LoadBalancerFullName": ".LoadBalancerName",
    "!GetAtt DecisionsTargets.TargetGroupFullName": "!Ref DecisionsTargets",
    "!GetAtt AdminTargets.TargetGroupFullName": "!Ref AdminTargets",
}
# Where the code says what a metric counts, of those that alarms tell apart by it.
SAID_IN = {
    "traffic_cop_validations_total": "replica/validation.rs",
    "traffic_cop_receipts_total": "replica/receipt.rs",
    "traffic_cop_exposures_total": "evidence/queue.rs",
    "traffic_cop_outcomes_total": "evidence/reports.rs",
    "traffic_cop_controller_ticks_total": "controller.rs",
    "traffic_cop_follower_ticks_total": "followers.rs",
}
# All that has the replicas for people and pipelines ask Genesys Cloud and sign webhooks.
GENESYS = {
    "GenesysClientId": "an id",
    "GenesysClientSecretArn": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:genesys-AbCdEf",
    "GenesysRegion": REGION,
    "GenesysPreflight": "refuse",
    "GenesysDataTableId": "0c7d2b1e-6a55-4a0c-9a43-5d2f8f1b7e60",
    "GenesysDataTableAddRows": "true",
    "WebhookSecretsArn": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:webhooks-AbCdEf",
}


def main():
    binary = Path(sys.argv[1]).resolve()
    # What moto does not know is listed below; every request would be a line.
    warnings.filterwarnings("ignore", module="moto")
    logging.getLogger("moto").setLevel(logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    url = "http://{}:{}".format(*moto.get_host_and_port())
    try:
        with tempfile.TemporaryDirectory() as home:
            token = run(binary, "token", "generate").strip()
            stack = deploy(url, "data.yaml", "traffic-cop-data", {"AdminToken": token, "OAuthSigningKey": signing_key()})
            check_tables(url, stack)
            around = surroundings(url)
            deploy(url, "service.yaml", "traffic-cop", around)
            deploy(url, "service.yaml", "traffic-cop-asks", {**around, **GENESYS})
            check_tasks(url)
            deploy(url, "alarms.yaml", "traffic-cop-alarms", {"TopicArn": f"arn:aws:sns:{REGION}:123456789012:people"})
            check_metrics()
            serve_on_them(binary, url, Path(home), token, stack)
    finally:
        moto.stop()


def run(binary, *arguments):
    done = subprocess.run([binary, *arguments], env=ENVIRONMENT, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"deploy: {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def signing_key():
    command = ["openssl", "genpkey", "-algorithm", "ed25519"]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def client(url, service):
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client(service, region_name=REGION, endpoint_url=url, **keys)


def deploy(url, template, stack, parameters):
    """Makes a stack; returns its outputs."""
    text = (ROOT / "infra/aws" / template).read_text()
    formation = client(url, "cloudformation")
    formation.create_stack(
        StackName=stack,
        TemplateBody=known_to_moto(text),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    made = formation.describe_stacks(StackName=stack)["Stacks"][0]
    expect(made["StackStatus"], "CREATE_COMPLETE")
    resources = formation.describe_stack_resources(StackName=stack)["StackResources"]
    known = {resource.get("ResourceType") for resource in resources if resource.get("LogicalResourceId")}
    wanted = [resource["Type"] for resource in cfn_yaml.load(str(ROOT / "infra/aws" / template))["Resources"].values()]
    left = [kind for kind in wanted if kind not in known]
    print(f"deploy: {template}: {len(wanted) - len(left)} resources made; left out by moto: {', '.join(sorted(set(left))) or 'none'}")
    return {output["OutputKey"]: output["OutputValue"] for output in made.get("Outputs", [])}


def known_to_moto(template):
    """Stand-ins for what moto lacks: others only name these, so anything with a name does."""
    for lacking, stand_in in STAND_INS.items():
        template = template.replace(lacking, stand_in)
    return template


def surroundings(url):
    """What service.yaml finds: the network that moto starts with, and a certificate."""
    ec2 = client(url, "ec2")
    subnets = ",".join(subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"])
    certificate = client(url, "acm").request_certificate(DomainName="traffic-cop.example")["CertificateArn"]
    return {
        "VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        "PublicSubnets": subnets,
        "PrivateSubnets": subnets,
        "DecisionsCertificateArn": certificate,
        "AdminCertificateArn": certificate,
        "Image": "traffic-cop:1",
    }


def check_tasks(url):
    """What Genesys Cloud and webhooks take is there if it is asked for, and only where people and pipelines come; a variable that the
    service does not know would be ignored."""
    known = set(re.findall(r"`(TRAFFIC_COP_\w+)`", (ROOT / "docs/configuration.md").read_text()))
    ecs, iam, formation = client(url, "ecs"), client(url, "iam"), client(url, "cloudformation")
    for stack, process in itertools.product(("traffic-cop", "traffic-cop-asks"), ("decisions", "admin")):
        task = ecs.describe_task_definition(taskDefinition=f"{stack}-{process}")["taskDefinition"]
        container = task["containerDefinitions"][0]
        # Moto leaves a hole where AWS::NoValue stands.
        given = {variable["name"]: variable["value"] for variable in container["environment"] if variable}
        secret = {variable["name"]: variable["valueFrom"] for variable in container["secrets"] if variable}
        expect((given.keys() | secret.keys()) - known, set())
        role = formation.describe_stack_resource(StackName=stack, LogicalResourceId=f"{process.title()}ExecutionRole")
        role = role["StackResourceDetail"]["PhysicalResourceId"]
        rights = json.dumps(iam.get_role_policy(RoleName=role, PolicyName="start")["PolicyDocument"])
        asks = (stack, process) == ("traffic-cop-asks", "admin")
        expected = {
            "TRAFFIC_COP_GENESYS_CLIENT_ID": GENESYS["GenesysClientId"],
            "TRAFFIC_COP_GENESYS_REGION": GENESYS["GenesysRegion"],
            "TRAFFIC_COP_GENESYS_PREFLIGHT": GENESYS["GenesysPreflight"],
            "TRAFFIC_COP_GENESYS_DATATABLE_ID": GENESYS["GenesysDataTableId"],
            "TRAFFIC_COP_GENESYS_DATATABLE_ADD_ROWS": "true",
            "TRAFFIC_COP_GENESYS_CLIENT_SECRET": GENESYS["GenesysClientSecretArn"],
            "TRAFFIC_COP_WEBHOOK_SECRETS": GENESYS["WebhookSecretsArn"],
        }
        found = {name: value for name, value in {**given, **secret}.items() if re.search("GENESYS|WEBHOOK", name)}
        expect(found, expected if asks else {})
        for arn in GENESYS["GenesysClientSecretArn"], GENESYS["WebhookSecretsArn"]:
            expect(arn in rights, asks)
    print("deploy: only replicas for people and pipelines have what Genesys Cloud and webhooks take, if it is given")


def check_tables(url, stack):
    """The tables are what `traffic-cop table create` would have made, and protected."""
    dynamodb = client(url, "dynamodb")
    for output, is_protected in ("ControlTableName", True), ("EvidenceTableName", False):
        table = dynamodb.describe_table(TableName=stack[output])["Table"]
        expect(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        expect(table["DeletionProtectionEnabled"], is_protected)
        expect([key["AttributeName"] for key in table["KeySchema"]], ["pk", "sk"])
    # Moto leaves these out, so the template is asked.
    resources = cfn_yaml.load(str(ROOT / "infra/aws/data.yaml"))["Resources"]
    recovery = resources["ControlTable"]["Properties"]["PointInTimeRecoverySpecification"]
    expect(recovery["PointInTimeRecoveryEnabled"], True)
    expect(resources["ControlTable"]["DeletionPolicy"], "Retain")
    expiry = resources["EvidenceTable"]["Properties"]["TimeToLiveSpecification"]
    expect(expiry["Enabled"], True)
    code = (ROOT / "src/store/table.rs").read_text()
    expect(f'EXPIRES_AT: &str = "{expiry["AttributeName"]}"' in code, True)


def expect(found, wanted):
    if found != wanted:
        sys.exit(f"deploy: {found!r} instead of {wanted!r}")


class Service:
    """A process of the service on the stack's tables. Ended with the `with` block."""

    def __init__(self, binary, url, home, stack, *arguments):
        home.mkdir()
        self.home, self.log = home, open(home / "log", "w+")
        tables = ["--control-table", stack["ControlTableName"], "--evidence-table", stack["EvidenceTableName"]]
        tables += ["--region", REGION, "--endpoint-url", url]
        command = [binary, "serve", "--data-dir", home / "data", *tables]
        command += ["--decisions", "127.0.0.1:0", "--shutdown-delay-ms", "0", *arguments]
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addresses = {}
        for _ in range(2):
            name, address = (self.process.stdout.readline().split() + ["", ""])[:2]
            self.addresses[name] = address
        if not self.addresses.get("decisions", "").startswith("http"):
            self.fail("it does not start")

    def until_ready(self):
        for _ in range(100):
            try:
                urllib.request.urlopen(self.addresses["decisions"] + "/v1/health/ready", timeout=2)
                return
            except OSError:
                time.sleep(0.1)
        self.fail("it is not ready")

    def fail(self, why):
        self.log.seek(0)
        sys.exit(f"deploy: {why}: {self.log.read()[-3000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        if self.process.wait(timeout=20):
            self.fail(f"it ended with {self.process.returncode}")


def serve_on_them(binary, url, home, token, stack):
    secret = home / "admin-token"
    secret.write_text(token)
    full = ["--admin", "127.0.0.1:0", "--admin-token-file", secret]
    with Service(binary, url, home / "full", stack, *full) as service:
        service.until_ready()
        admin = service.addresses["admin"]

        def cli(*arguments):
            return run(binary, *arguments, "--server", admin, "--token-file", secret, "--output", "json")

        flows = ["--blue-flow", f"{BLUE}=Main IVR Blue", "--green-flow", f"{GREEN}=Main IVR Green"]
        cli("env", "create", "Main_IVR", *flows, "--flow-version", "1.0", "--reason", "the first")
        made = cli("token", "create", "genesys", "--scope", "decide", "--reason", "for Genesys Cloud")
        genesys = json.loads(made)["token"]
        with Service(binary, url, home / "decisions", stack, "--decisions-only", "--metrics", "127.0.0.1:0") as other:
            other.until_ready()
            expect(decide(other, genesys)["Active_Flow_ID"], BLUE)
            cli("flow", "register", "Main_IVR", "--flow-version", "2.0", "--reason", "build 2")
            cli("cutover", "Main_IVR", "--reason", "2.0 is good", "--wait=10000")
            answer = decide(other, genesys)
            expect((answer["Active_Flow_ID"], answer["Flow_Version"]), (GREEN, "2.0"))
            print(f"deploy: a replica for decisions alone answers {json.dumps(answer)}")
            until_calm(service, other)
        print(f"deploy: the journal: {json.dumps(json.loads(cli('journal', 'verify')))}")


def decide(service, token):
    """A decision as the exported data action asks for it."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Cache-Control": "no-cache"}
    address = service.addresses["decisions"] + "/v1/environments/Main_IVR/decisions"
    request = urllib.request.Request(address, b'{"Conversation_ID": "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e"}', headers)
    return json.load(urllib.request.urlopen(request, timeout=5))


def until_calm(*services):
    """No alarm may last: one that is raised while this machine is busy ends with the next poll."""
    for _ in range(100):
        alarms = [line for service in services for line in metrics(service) if line.startswith("traffic_cop_alarm{")]
        raised = [line for line in alarms if not line.endswith(" 0")]
        if not raised:
            print(f"deploy: none of the {len(alarms)} alarms of both is raised")
            return
        time.sleep(0.1)
    sys.exit(f"deploy: {raised}")


def check_metrics():
    """An alarm on a metric or a label that does not exist would never ring, nor one on what the collector does not bring to CloudWatch.
    One that the page does not list is understood by nobody whom it wakes."""
    alarms = cfn_yaml.load(str(ROOT / "infra/aws/alarms.yaml"))["Resources"]
    page = (ROOT / "infra/aws/README.md").read_text()
    expect([alarm for alarm in alarms if f"`{alarm}`" not in page], [])
    documented = re.findall(r"^\| `(traffic_cop_\w+)` \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.M)
    labels = {metric: re.findall(r"`(\w+)`", names) for metric, names in documented}
    processes, brought = collected()
    watched = list(watched_in(alarms))
    for metric, label, value in watched:
        series = f'{metric}{{{label}="{value or ""}"}}'
        if metric not in labels or label not in [*labels[metric], "process"]:
            sys.exit(f"deploy: an alarm on {series}, which docs/metrics.md does not know")
        if not all(any(label == name and selector.search(metric) for name, selector in of) for of in brought):
            sys.exit(f"deploy: an alarm on {series}, which a collector of service.yaml does not bring")
        if value and value not in (processes if label == "process" else said_by(metric)):
            sys.exit(f"deploy: an alarm on {series}, which nobody says")
    named = set(re.findall(r"traffic_cop_\w+", (ROOT / "infra/aws/alarms.yaml").read_text()))
    expect({metric for metric, _, _ in watched}, named)
    print(f"deploy: alarms name {len(watched)} series of {len(named)} metrics, all of which the service tells")


def watched_in(part):
    """Each series that a part of the template names: metric, label, and its value if that is one alone."""
    if isinstance(part, list):
        for item in part:
            yield from watched_in(item)
    if not isinstance(part, dict):
        return
    if str(part.get("MetricName")).startswith("traffic_cop_"):
        for dimension in part["Dimensions"]:
            yield part["MetricName"], dimension["Name"], dimension["Value"]
    if isinstance(part.get("Expression"), dict):
        query = re.match(r'SELECT \w+\((\w+)\) FROM SCHEMA\("[^"]+", (\w+)\)', part["Expression"]["Fn::Sub"])
        yield query[1], query[2], None
    for item in part.values():
        yield from watched_in(item)


def collected():
    """What the collectors call the processes, and of each what it brings: label and selector of metrics."""
    resources = cfn_yaml.load(str(ROOT / "infra/aws/service.yaml"))["Resources"]
    processes, brought = set(), []
    for task in "DecisionsTask", "AdminTask":
        (collector,) = (each for each in resources[task]["Properties"]["ContainerDefinitions"] if each["Name"] == "collector")
        settings = yaml.safe_load(collector["Environment"][0]["Value"]["Fn::Sub"])
        for scrape in settings["receivers"]["prometheus"]["config"]["scrape_configs"]:
            processes |= {config["labels"]["process"] for config in scrape["static_configs"]}
        declarations = settings["exporters"]["awsemf"]["metric_declarations"]
        brought.append([
            (label, re.compile(selector))
            for declaration in declarations
            for (label,) in declaration["dimensions"]
            for selector in declaration["metric_name_selectors"]
        ])
    return processes, brought


def said_by(metric):
    """What the code may say of it in its label: the texts in the file where that is decided."""
    if metric not in SAID_IN:
        sys.exit(f"deploy: where does the code say what {metric} counts?")
    return set(re.findall(r'"(\w+)"', (ROOT / "src" / SAID_IN[metric]).read_text().split("#[cfg(test)]")[0]))


def metrics(service):
    address = service.addresses.get("metrics") or service.addresses["admin"] + "/metrics"
    return urllib.request.urlopen(address, timeout=5).read().decode().splitlines()


main()
