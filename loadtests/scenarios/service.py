"""The processes of a scenario: the store, what may lie between, and replicas of the service."""

import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("TRAFFIC_COP_", "AWS_"))}
FLOWS = [
    "--blue-flow",
    "11111111-1111-4111-8111-111111111111=Main IVR Blue",
    "--green-flow",
    "22222222-2222-4222-8222-222222222222=Main IVR Green",
]


class Failed(Exception):
    """A scenario could not be carried out, which says nothing about the service's figures."""


class Line:
    """A way to the store that can be slow (seconds each way) or cut."""

    def __init__(self, port):
        self.port, self.delay, self.is_cut = port, 0.0, False
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:{}".format(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                if self.is_cut:
                    raise OSError("cut")
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                near.close()
                continue
            self.open |= {near, far}
            for source, target in (near, far), (far, near):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    def carry(self, source, target):
        try:
            while data := source.recv(65536):
                if self.delay:
                    time.sleep(self.delay)
                target.sendall(data)
        except OSError:
            pass
        for end in source, target:
            self.open.discard(end)
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.is_cut = True
        for end in list(self.open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def mend(self):
        self.is_cut = False


class World:
    """A store, one full replica and one for decisions alone, with `Main_IVR` and a token that may decide. For a `with` block."""

    def __init__(self, binary, home):
        self.binary, self.home, self.processes = binary, home, []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self):
        store = self.spawn("store", "store", "serve", "--data-dir", self.home / "store", "--address", "127.0.0.1:0")
        self.line = Line(int(re.search(r":(\d+)", self.say(store, "store"))[1]))
        direct = f"http://127.0.0.1:{self.line.port}"
        self.run("table", "create", "--endpoint-url", direct)
        self.token_file = self.home / "admin-token"
        self.token_file.write_text(self.run("token", "generate"))
        # Administration has a way of its own to the store, so that a change can be made while the other one is bad.
        full = self.serve("full", direct, "--admin", "127.0.0.1:0", "--admin-token-file", self.token_file)
        full_decisions = self.say(full, "decisions").split()[1]
        self.admin = self.say(full, "admin").split()[1]
        self.until_ready(full_decisions)
        self.cli("env", "create", "Main_IVR", *FLOWS, "--flow-version", "1.0", "--reason", "load")
        self.cli("flow", "register", "Main_IVR", "--flow-version", "2.0", "--reason", "load")
        made = self.cli("token", "create", "genesys", "--scope", "decide", "--reason", "load")
        self.token = json.loads(made)["token"]
        self.replica = self.serve("replica", self.line.url, "--decisions-only", "--metrics", "127.0.0.1:0")
        self.decisions = self.say(self.replica, "decisions").split()[1]
        self.metrics = self.say(self.replica, "metrics").split()[1]
        self.until_ready(self.decisions)

    def serve(self, name, store, *arguments):
        data = ["--data-dir", self.home / name, "--endpoint-url", store, "--shutdown-delay-ms", "0"]
        return self.spawn(name, "serve", *data, "--decisions", "127.0.0.1:0", *arguments)

    def spawn(self, name, *arguments):
        log = open(self.home / f"{name}.log", "w")
        process = subprocess.Popen([self.binary, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=log, text=True)
        self.processes.append(process)
        return process

    def say(self, process, what):
        """The line that names the address of `what`."""
        while line := process.stdout.readline():
            if line.startswith(what) or (what == "store" and "://" in line):
                return line
        raise Failed(f"no {what}: see the logs in {self.home}")

    def run(self, *arguments):
        done = subprocess.run([self.binary, *arguments], env=ENVIRONMENT, text=True, capture_output=True)
        if done.returncode:
            raise Failed(f"{' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def cli(self, *arguments):
        """A command of the CLI at the full replica."""
        return self.run(*arguments, "--server", self.admin, "--token-file", self.token_file, "--output", "json")

    def until_ready(self, url):
        for _ in range(200):
            try:
                urllib.request.urlopen(url + "/v1/health/ready", timeout=2)
                return
            except OSError:
                time.sleep(0.05)
        raise Failed(f"not ready: see the logs in {self.home}")

    def resident_kib(self):
        """Memory of the replica that is loaded."""
        status = open(f"/proc/{self.replica.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def cpu_seconds(self):
        fields = open(f"/proc/{self.replica.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def counters(self, name):
        """What `name` counts at the replica, by its labels."""
        text = urllib.request.urlopen(self.metrics, timeout=5).read().decode()
        return {labels: float(value) for labels, value in re.findall(rf"^{name}(\{{.*?\}})? ([\d.]+)$", text, re.M)}
