"""Load in an open loop, by vegeta: requests start when they are due, however slow the answers to earlier ones are."""

import base64
import json
import subprocess
import uuid
from dataclasses import dataclass
from datetime import datetime

MEMBERS = {
    "Active_Flow_ID": str,
    "Active_Flow_Name": str,
    "Slot": str,
    "Flow_Version": str,
    "Traffic_Weight": (int, float),
    "Schema_Version": int,
    "Flow_Version_Known": bool,
    "Reason": str,
    "Revision": int,
    "Source": str,
}


@dataclass
class Answer:
    """What came of one request. Times are seconds since 1970, as this machine's clock has them."""

    sent: float
    took: float
    status: int
    error: str
    body: dict

    @property
    def fault(self):
        """What is wrong with it whatever was asked, or None: no answer, not 200, or a member that is missing or of another type."""
        if self.status != 200:
            return f"{self.status} {self.error}"
        for member, kind in MEMBERS.items():
            if not isinstance(self.body.get(member), kind):
                return f"{member} is {self.body.get(member)!r}"
        return None


def attack(vegeta, world, rate, seconds, keeps_connections, numbers):
    """Asks for decisions `rate` times a second, each for a conversation of its own, as the exported data action does."""
    count = max(1, round(rate * seconds))
    targets = world.home / "targets"
    with open(targets, "w") as file:
        for _ in range(count):
            conversation = uuid.UUID(int=numbers.getrandbits(128), version=4)
            body = json.dumps({"Conversation_ID": str(conversation), "ANI": "+4930123456", "DNIS": "+4930654321", "Flow_Version": ""})
            target = {
                "method": "POST",
                "url": world.decisions + "/v1/environments/Main_IVR/decisions",
                "body": base64.b64encode(body.encode()).decode(),
                "header": {
                    "Authorization": [f"Bearer {world.token}"],
                    "Content-Type": ["application/json"],
                    "Cache-Control": ["no-cache"],
                },
            }
            print(json.dumps(target), file=file)
    options = [f"-rate={rate}/1s", f"-duration={seconds}s", "-timeout=3s", f"-keepalive={str(keeps_connections).lower()}"]
    with open(world.home / "results", "wb") as results:
        subprocess.run([vegeta, "attack", "-format=json", f"-targets={targets}", *options], stdout=results, check=True)
    encoded = subprocess.run([vegeta, "encode", "-to=json", world.home / "results"], capture_output=True, check=True)
    return [answer(json.loads(line)) for line in encoded.stdout.splitlines()]


def answer(result):
    try:
        body = json.loads(base64.b64decode(result["body"] or ""))
    except ValueError:
        body = {}
    sent = datetime.fromisoformat(result["timestamp"]).timestamp()
    return Answer(sent, result["latency"] / 1e9, result["code"], result["error"], body if isinstance(body, dict) else {})
