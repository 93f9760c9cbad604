"""Three instances behind the real nginx with the repository's nginx.conf, under load: each restarted in turn costs nobody an answer and computes
none twice; one that is killed takes its own streams with it and nothing else."""

import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import signal
import sys
import threading
import time
import unittest

from test_nginx import NGINX, Balancer, free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import connection_cases as cases  # noqa: E402
import harness  # noqa: E402

CLIENTS = 50
# What docker-compose.yml gives to the instances behind nginx.
INSTANCE = {"MAX_CONNECTIONS_PER_CLIENT": "4096", "LISTEN_WHILE_LOADING": "false"}


class Instances:
    """Three services at fixed ports; every line that any of them ever logged."""

    def __init__(self, model, *flags):
        self.model, self.flags = model, flags
        self.ports = [free_port() for _ in range(3)]
        self.lines = []
        self.running = [self._start(port) for port in self.ports]

    def _start(self, port):
        service = harness.Service(self.model, "--threads", 1, *self.flags, port=port, env=harness.environment(**INSTANCE))
        self.lines.append(service.errors)
        return service

    def restart(self, number):
        status = self.running[number].stop()
        self.running[number].close()
        self.running[number] = self._start(self.ports[number])
        return status

    def answered(self):
        """How often each request id was answered, by whichever instance."""
        ids = re.compile(r"POST /generate status \d+ .*\bid (\S+) client")
        return collections.Counter(match.group(1) for lines in self.lines for line in lines if (match := ids.search(line)))

    def close(self):
        for service in self.running:
            service.close()


@unittest.skipIf(NGINX is None, "nginx is absent (Debian package nginx-light)")
class Rolling(unittest.TestCase):
    def start(self, model, *flags):
        instances = Instances(model, *flags)
        self.addCleanup(instances.close)
        nginx = Balancer(instances.ports)
        self.addCleanup(nginx.close)
        return instances, nginx

    def test_each_instance_restarted_in_turn_under_load(self):
        instances, nginx = self.start(harness.needs_demo())
        stop, failures, done = threading.Event(), [], collections.Counter()

        def client(number):
            count = 0
            while not stop.is_set():
                count += 1
                name, stream = f"c{number}-{count}", (number + count) % 2 == 0
                body = {"prompt": f"{number}+{count}=?", "max_length": 24, "seed": count, "stream": stream}
                connection = nginx.connection(60)
                try:
                    connection.request("POST", "/generate", json.dumps(body), {"Content-Type": "application/json", "X-Request-Id": name})
                    answer = connection.getresponse()
                    text = answer.read()  # a stream that is cut off is an IncompleteRead
                    if answer.status != 200 or (stream and not text.rstrip().endswith(b"data: [DONE]")) or b'"error"' in text:
                        failures.append((name, answer.status, text[-200:]))
                    done[name] += 1
                except (OSError, http.client.HTTPException) as error:
                    failures.append((name, repr(error)))
                finally:
                    connection.close()

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(client, number) for number in range(CLIENTS)]
            time.sleep(2)
            statuses = []
            try:
                for number in range(3):
                    statuses.append(instances.restart(number))
                    time.sleep(2)
            finally:
                stop.set()
            for future in futures:
                future.result()
        self.assertEqual(statuses, [0, 0, 0])
        self.assertEqual(failures[:3], [], nginx.errors())
        self.assertGreater(len(done), 2 * CLIENTS)
        time.sleep(0.5)
        self.assertEqual(instances.answered(), done)  # each exactly once
        print(f"  three restarts, {CLIENTS} clients: {sum(done.values())} requests, none failed, none computed twice")

    def test_one_that_is_killed_takes_its_own_streams_alone(self):
        with cases.endless_model() as model:
            instances, nginx = self.start(model)
            connections = [nginx.connection(120) for _ in range(9)]
            answers = []
            for connection in connections:
                connection.request("POST", "/generate", json.dumps(cases.endless(1500)), {"Content-Type": "application/json"})
                answers.append(connection.getresponse())
                answers[-1].readline()
            lost = instances.running[0]
            own = int(re.search(r"(?m)^qwen_streams_open (\d+)$", lost.get("/metrics").text).group(1))
            self.assertEqual(own, 3)
            os.kill(lost.process.pid, signal.SIGKILL)
            lost.process.wait(10)  # until its port is gone, connections reach it as its own, and are cut with it

            def whole(answer):
                try:
                    return answer.read().rstrip().endswith(b"data: [DONE]")
                except (http.client.HTTPException, OSError):
                    return False

            with concurrent.futures.ThreadPoolExecutor(len(answers)) as pool:
                ends = pool.map(whole, answers)
                for _ in range(20):
                    self.assertEqual(nginx.post("/generate", {"prompt": "1+1=?", "max_length": 2}).status, 200)
                lost_streams = sum(not end for end in ends)
                self.assertEqual(lost_streams, own)
                print(f"  one of three killed: {lost_streams} of {len(answers)} streams cut, its own {own}; 20 other requests of 20 answered")
            for connection in connections:
                connection.close()


if __name__ == "__main__":
    harness.main()
