"""Exports kits, one of hostile names, and looks at them with other eyes than the tests in Rust: actions by the schemas of Genesys
Cloud's own exports, contracts by the metaschema of JSON Schema's draft 4, flows by a reader of YAML 1.1, where more words than in
1.2 mean something.

    genesys_kit.py BINARY
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import yaml
from jsonschema import Draft4Validator

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "tests" / "fixtures" / "genesys"
HOSTILE = [
    '+49 30 "Blau"', "back\\slash \\x41", "ü 🚦", "${input.ANI} $!{x}", "#set($a = 1) ##", "{{flow_name}}",
    "key: value # comment", "- item", "*alias &anchor !tag", "yes", "No", "on", "null", "~", "1e3", "12:30:45", "0x1f", "=", "<<",
]


def schema(name):
    document = json.loads((SCHEMAS / name).read_text())
    Draft4Validator.check_schema(document)
    return Draft4Validator(document)


def export(binary, out, *arguments):
    command = [binary, "genesys", "export", "Main_IVR", "--offline", "--address=https://decide.example", f"--out={out}"]
    subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)
    return {file.name: file.read_text() for file in sorted(pathlib.Path(out).iterdir())}


def look_at_actions(files, action, custom_auth):
    actions = [name for name in files if name.endswith(".custom.json")]
    assert len(actions) == 3, actions
    for name in actions:
        document = json.loads(files[name])
        action.validate(document)
        contracts = [document["contract"]["input"]["inputSchema"], document["contract"]["output"]["successSchema"]]
        for contract in contracts:
            Draft4Validator.check_schema(contract)
        properties = contracts[1]["properties"].values()
        assert all(set(one) == {"type"} and one["type"] not in ("object", "array") for one in properties), name
    if "oauth.custom-auth.json" in files:
        custom_auth.validate(json.loads(files["oauth.custom-auth.json"]))


def check(binary, home):
    action, custom_auth = schema("custom-action.schema.json"), schema("custom-auth.schema.json")
    # A schema that takes anything proves nothing.
    assert not action.is_valid({}) and not custom_auth.is_valid({})
    flows = ["--blue-flow=Main IVR Blue", "--green-flow=Main IVR Green"]
    interface = ["--interface=1", "--interface-file", str(SCHEMAS / "interface.yaml")]
    kits = 0
    for kind in ("bearer", "api-key", "basic", "oauth"):
        for more in ([], interface):
            files = export(binary, f"{home}/{kind}{len(more)}", f"--credential={kind}", *flows, *more)
            assert ("oauth.custom-auth.json" in files) == (kind == "oauth")
            look_at_actions(files, action, custom_auth)
            kits += 1
    broken = json.loads(files["decide.custom.json"])
    for spoil in (
        lambda one: one.pop("integrationType"),
        lambda one: one["config"]["request"].update(requestType="FETCH"),
        lambda one: one["config"]["request"]["headers"].update({"X": 1}),
        lambda one: one["contract"]["output"].pop("successSchema"),
    ):
        spoiled = json.loads(json.dumps(broken))
        spoil(spoiled)
        assert not action.is_valid(spoiled), "a spoiled action is taken"
    for at, blue in enumerate(HOSTILE):
        green = HOSTILE[(at + 1) % len(HOSTILE)]
        names = [f"--blue-flow={blue}", f"--green-flow={green}", f"--traffic-cop-flow=Cop {blue}"]
        names += [f"--integration={blue}", f"--table={blue}", f"--last-resort-queue={blue}", f"--blue-version={blue}"]
        files = export(binary, f"{home}/hostile{at}", *names)
        look_at_actions(files, action, custom_auth)
        cop = yaml.safe_load(files["traffic-cop.yaml"])["inboundCall"]
        assert cop["name"] == f"Cop {blue}", cop["name"]
        actions = cop["tasks"][0]["task"]["actions"]
        kinds = [next(iter(one)) for one in actions]
        assert kinds[-3:] == ["transferToFlow", "transferToAcd", "disconnect"], kinds
        assert actions[-3]["transferToFlow"]["targetFlow"]["name"] == blue
        assert actions[-2]["transferToAcd"]["targetQueue"]["lit"]["name"] == blue
        assert list(actions[2]["callData"]["category"]) == [blue]
        assert list(actions[3]["decision"]["outputs"]) == ["no"], "yes and no are words, not truths"
        first = yaml.safe_load(files["blue.yaml"])["inboundCall"]["tasks"][0]["task"]["actions"][0]
        assert first["setParticipantData"]["attributes"][0]["attribute"]["value"]["lit"] == blue
        kits += 1
    print(f"genesys kit: {kits} kits are as Genesys Cloud takes them")


with tempfile.TemporaryDirectory() as home:
    check(sys.argv[1], home)
