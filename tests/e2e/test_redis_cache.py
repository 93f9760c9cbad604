"""The response cache's Redis, a real one: shared by services, killed, stopped (SIGSTOP) and restarted under load, full, with foreign values
under the keys, behind a password; and peers that are no Redis. No request ever fails for it or waits noticeably longer."""

import concurrent.futures
import threading
import time
import unittest

import harness
from redis_server import Impostor, Redis, needs_redis
from test_metrics import eventually, scrape

BODY = {"prompt": "358 + 467 = ?", "temperature": 0, "max_length": 24}
# Of a request that computes a few tokens while everything else on the machine runs, too; waiting for a Redis that hangs would be seconds.
BOUNDED = 2.0
PATIENT = {"REDIS_TIMEOUT_MS": "1000"}  # where a hit is to be seen however busy the machine is


def service(url, **variables):
    return harness.Service(harness.needs_demo(), "--threads", 1, "--kv-cache", "64MiB",
                           env=harness.environment(**{"REDIS_URL": url, "CACHE_ENABLE": "true", "REDIS_TIMEOUT_MS": "100", **variables}))


def breaker(of):
    return scrape(of).value("qwen_response_cache_breaker_open")


def connected(of):
    return eventually(lambda: any("shared through Redis" in line for line in of.errors))


def computed(of):
    return scrape(of).value("qwen_generated_tokens_total")


def log(of):
    return "".join(of.errors)


class Load:
    """Requests one after the other on some threads, each a new prompt now and an old one then."""

    def __init__(self, target, threads=4):
        self.target, self.ended, self.failures, self.longest, self.count = target, False, [], 0.0, 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, thread):
        number = 0
        while not self.ended:
            number += 1
            begin = time.monotonic()
            body = {"prompt": f"{thread} {number // 3}", "temperature": 0, "max_length": 3}
            try:
                problem = self.stream(body) if number % 2 else self.whole(body)
            except (OSError, AssertionError) as error:
                problem = str(error)
            with self.lock:
                self.count += 1
                self.longest = max(self.longest, time.monotonic() - begin)
                if problem:
                    self.failures.append(problem)

    def whole(self, body):
        answer = self.target.post("/generate", body)
        return None if answer.status == 200 else answer.text

    def stream(self, body):
        events = list(self.target.stream("/generate", {**body, "stream": True}))
        return None if events[-1] == "[DONE]" and '"finish_reason"' in events[-2] else str(events)

    def stop(self):
        self.ended = True
        for thread in self.threads:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


class Shared(unittest.TestCase):
    def setUp(self):
        needs_redis()

    def test_two_services_share_answers(self):
        with Redis() as redis, service(redis.url + "/2", **PATIENT) as one, service(f"unix://{redis.socket}?db=2", **PATIENT) as other:
            self.assertTrue(connected(one) and connected(other), log(one) + log(other))
            first = one.post("/generate", BODY)
            self.assertEqual(first.headers["X-Cache"], "MISS")
            self.assertTrue(eventually(lambda: redis.cli("-n", "2", "DBSIZE") == "1"))
            self.assertLessEqual(int(redis.cli("-n", "2", "TTL", redis.cli("-n", "2", "RANDOMKEY"))), 3600)
            second = other.post("/generate", BODY)
            self.assertEqual(second.headers["X-Cache"], "HIT")
            self.assertEqual(second.json()["generated_text"], first.json()["generated_text"])
            self.assertEqual(computed(other), 0)
            self.assertEqual(other.post("/generate", {**BODY, "max_length": 23}).headers["X-Cache"], "MISS")

    def test_killed_stopped_and_restarted_under_load(self):
        with Redis() as redis, service(redis.url) as one:
            self.assertTrue(connected(one))
            with Load(one) as load:
                time.sleep(0.5)
                for fault, mend in ((redis.kill, redis.start), (redis.pause, redis.resume)):
                    fault()
                    self.assertTrue(eventually(lambda: breaker(one) == 1))
                    count = load.count
                    self.assertTrue(eventually(lambda before=count: load.count > before + 8))
                    mend()
                    self.assertTrue(eventually(lambda: breaker(one) == 0, 25))
            self.assertEqual(load.failures, [])
            self.assertLess(load.longest, BOUNDED * harness.PATIENCE)
            self.assertGreater(load.count, 30)
            self.assertLessEqual(log(one).count("is left alone"), 8)
            print(f"  Redis killed, back, stopped, resumed: {load.count} requests, none failed, the longest {load.longest:.2f} s")

    def test_down_at_start_and_there_later(self):
        redis = Redis()
        self.addCleanup(redis.close)
        with service(redis.url) as one:
            self.assertEqual(one.get("/readyz").status, 200)
            self.assertTrue(eventually(lambda: breaker(one) == 1))
            self.assertEqual([one.post("/generate", BODY).headers["X-Cache"] for _ in range(2)], ["MISS", "HIT"])
            redis.start()
            self.assertTrue(eventually(lambda: breaker(one) == 0, 25))
            one.post("/generate", {**BODY, "max_length": 5})
            self.assertTrue(eventually(lambda: redis.cli("DBSIZE") == "1"))
            redis.pause()
            begin = time.monotonic()
            self.assertEqual(one.stop(), 0)
            self.assertLess(time.monotonic() - begin, 5 * harness.PATIENCE, "a Redis that hangs holds up no shutdown")
            redis.resume()

    def test_full_and_read_only(self):
        for word, options in (("OOM", ["--maxmemory", "1", "--maxmemory-policy", "noeviction"]), ("READONLY", ["--replicaof", "127.0.0.1", "1"])):
            with self.subTest(word), Redis(*options) as redis, service(redis.url, **PATIENT) as one:
                self.assertTrue(connected(one))
                for number in range(12):
                    self.assertEqual(one.post("/generate", {**BODY, "prompt": str(number)}).status, 200)
                self.assertTrue(eventually(lambda: "takes no answers" in log(one)), log(one))
                self.assertEqual(log(one).count("takes no answers"), 1)
                self.assertIn(word, log(one))
                self.assertEqual(breaker(one), 0)

    def test_slow(self):
        with Redis() as redis, service(redis.url) as one:
            self.assertTrue(connected(one))
            redis.cli("CLIENT", "PAUSE", "1500", "ALL")
            with Load(one, threads=2) as load:
                self.assertTrue(eventually(lambda: breaker(one) == 1))
                self.assertTrue(eventually(lambda: breaker(one) == 0, 25))
            self.assertEqual(load.failures, [])
            self.assertLess(load.longest, BOUNDED * harness.PATIENCE)

    def test_foreign_values_are_not_believed(self):
        with Redis() as redis, service(redis.url) as one:
            self.assertTrue(connected(one))
            right = one.post("/generate", BODY).json()["generated_text"]
            self.assertTrue(eventually(lambda: len(redis.keys()) == 1))
            key = redis.keys()[0]
            redis.cli("COPY", key, "kept")
            faults = {
                "text": ["SET", key, "not an answer"], "empty": ["SET", key, ""], "truncated": ["EVAL", f"redis.call('SET','{key}',redis.call('GETRANGE','kept',0,-9))", "0"],
                "changed": ["EVAL", f"redis.call('COPY','kept','{key}','REPLACE') redis.call('SETRANGE','{key}',100,'xx')", "0"],
                "list": ["EVAL", f"redis.call('DEL','{key}') redis.call('RPUSH','{key}','a')", "0"],
                "huge": ["EVAL", f"redis.call('SET','{key}',string.rep('x',20000000))", "0"],
            }
            for name, fault in faults.items():
                with self.subTest(name), service(redis.url, **PATIENT) as other:
                    self.assertTrue(connected(other))
                    redis.cli(*fault)
                    answer = other.post("/generate", BODY)
                    self.assertEqual(answer.json()["generated_text"], right)
                    self.assertEqual(answer.headers["X-Cache"], "MISS")
                    self.assertEqual(scrape(other).value("qwen_response_cache_requests_total", result="error"), 1)
                    self.assertTrue(eventually(lambda: redis.cli("TYPE", key) == "string" and int(redis.cli("STRLEN", key)) < 2000), "and mended")
                    self.assertEqual(breaker(other), 0)

    def test_passwords(self):
        with Redis(password="geheim-7") as redis:
            right = {"REDIS_PASSWORD": "geheim-7"}
            with service(redis.url, **right) as one:
                self.assertTrue(connected(one), log(one))
                self.assertNotIn("geheim", log(one))
            with service(redis.url.replace("//", "//:falsch-8@")) as one:
                self.assertTrue(eventually(lambda: breaker(one) == 1))
                self.assertEqual(one.post("/generate", BODY).status, 200)
                time.sleep(1)
                self.assertEqual(log(one).count("is left alone"), 1, log(one))
                self.assertIn("WRONGPASS", log(one))
                self.assertNotIn("falsch", log(one))
            redis.cli("ACL", "SETUSER", "cache", "on", ">mein-9", "~qwen-thinking:*", "+get", "+set", "+del", "+ping", "+select")
            with service(redis.url.replace("//", "//cache:mein-9@") + "/1") as one:
                self.assertTrue(connected(one), log(one))
                one.post("/generate", BODY)
                self.assertTrue(eventually(lambda: redis.cli("-n", "1", "DBSIZE") == "1"))


class Configuration(unittest.TestCase):
    def test_the_start_says_where_answers_are_kept(self):
        with service("redis://me:geheim@127.0.0.1:1/3", CACHE_TTL="77") as one:
            self.assertRegex(log(one), r"response cache: on, up to \d+ answers in 64 MiB of this process, for 77 s, and in Redis at 127\.0\.0\.1:1\n")
            self.assertNotIn("geheim", log(one))

    def test_secrets_are_masked(self):
        environment = harness.environment(REDIS_URL="redis://me:geheim@cache:7000/1", REDIS_PASSWORD="auch-geheim")
        report = harness.run("serve", "--check-config", "--model", harness.needs_demo(), env=environment)
        self.assertEqual(report.returncode, 0, report.stderr)
        self.assertRegex(report.stdout, r"cache_config\.redis_url +redis://me:\*\*\*\*@cache:7000/1 +REDIS_URL")
        self.assertRegex(report.stdout, r"cache_config\.redis_password +\*\*\*\* +REDIS_PASSWORD")
        self.assertRegex(report.stdout, r"cache_config\.enable +auto +default")
        self.assertNotIn("geheim", report.stdout + report.stderr)

    def test_wrong_addresses_stop_the_start(self):
        for url in ("http://geheim@x", "redis://:geheim@host:port", "rediss://:geheim@host"):
            with self.subTest(url):
                result = harness.run("serve", "--check-config", "--model", harness.needs_demo(), env=harness.environment(REDIS_URL=url))
                self.assertEqual(result.returncode, 78)
                self.assertIn("REDIS_URL", result.stderr)
                self.assertNotIn("geheim", result.stdout + result.stderr)
                self.assertEqual(len(result.stderr.strip().split("\n")), 1)

    def test_a_host_that_nobody_knows_is_no_alert(self):
        with service("redis://no-such-host.invalid") as one:
            self.assertTrue(eventually(lambda: "there is no host" in log(one), 30), log(one))
            self.assertEqual([one.post("/generate", BODY).headers["X-Cache"] for _ in range(2)], ["MISS", "HIT"])
            self.assertEqual(breaker(one), 0)


class NoRedis(unittest.TestCase):
    """Peers that answer PING and then anything."""

    def ask(self, answer, asked=True):
        with Impostor(answer) as peer, service(peer.url) as one:
            self.assertTrue(connected(one))
            before = scrape(one).value("process_resident_memory_bytes")
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                begin = time.monotonic()
                answers = list(pool.map(lambda n: one.post("/generate", {**BODY, "prompt": str(n), "max_length": 3}), range(16)))
            self.assertEqual({answer.status for answer in answers}, {200})
            self.assertLess(time.monotonic() - begin, 8 * harness.PATIENCE)
            self.assertLess(scrape(one).value("process_resident_memory_bytes") - before, 64 << 20)
            self.assertEqual(peer.asked > 0, asked)
            return scrape(one).value("qwen_response_cache_requests_total", result="error")

    def test_garbage(self):
        cases = {
            "lengths": [b"$-2\r\n", b"$9999999999\r\n" + b"x" * 65536, b"$99999999999999999999\r\n"],
            "arrays": [b"*2000000000\r\n", b"*1\r\n" * 500, b"*-5\r\n"],
            "noise": [bytes(range(256)) * 40, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 9000],
            "more": [b"$-1\r\n$-1\r\n", b":7\r\n", b"+OK\r\n", b"-LOADING Redis is loading the dataset in memory\r\n", b"-MOVED 1 127.0.0.1:1\r\n"],
        }
        for name, replies in cases.items():
            with self.subTest(name):
                turn = iter(range(10**9))
                self.assertGreater(self.ask(lambda c, r=replies, t=turn: c.sendall(r[next(t) % len(r)])), 0)

    def test_half_an_answer_and_the_end(self):
        def half(connection):
            connection.sendall(b"$100\r\nabc")
            return False
        self.assertGreater(self.ask(half), 0)

    def test_who_is_always_late_is_left_alone(self):
        """It answers PING in time, so that every trial succeeds: the pauses grow nevertheless."""
        def late(connection):
            time.sleep(0.06)
            connection.sendall(b"$-1\r\n")
        with Impostor(late) as peer, service(peer.url, REDIS_TIMEOUT_MS="20") as one:
            self.assertTrue(connected(one))
            for number in range(60):
                self.assertEqual(one.post("/generate", {**BODY, "prompt": str(number), "max_length": 1}).status, 200)
            self.assertIn("is left alone (no answer within 20 ms)", log(one))
            self.assertLess(peer.asked, 40)

    def test_a_batch_waits_once_for_all_its_prompts(self):
        """Each answer comes in time, all together would not: the budget is the request's, and who uses it up with a few answers is slow."""
        def slow(connection):
            time.sleep(0.06)
            connection.sendall(b"$-1\r\n")
        for path, field in (("/batch_generate", "max_length"), ("/v1/completions", "max_tokens")):
            with self.subTest(path), Impostor(slow, b"GET") as peer, service(peer.url) as one:
                self.assertTrue(connected(one))
                field_of = {"/batch_generate": "prompts", "/v1/completions": "prompt"}[path]
                for number in range(8):
                    before = peer.asked
                    body = {field_of: [f"{number} {i}" for i in range(24)], field: 1, "temperature": 0}
                    begin = time.monotonic()
                    self.assertEqual(one.post(path, body).status, 200)
                    self.assertLess(time.monotonic() - begin, 1.0 * harness.PATIENCE)
                    self.assertLessEqual(peer.asked - before, 2)
                    time.sleep(0.3)  # what is stored meanwhile
                self.assertRegex(log(one), r"is left alone \((no answer|only 1 answer) within 100 ms\)")

    def test_the_reason_told_is_the_last_one(self):
        redis = Redis(password="new-9")
        self.addCleanup(redis.close)
        with service(redis.url.replace("//", "//:old-8@")) as one:
            self.assertTrue(eventually(lambda: "Connection refused" in log(one)), log(one))
            redis.start()
            self.assertTrue(eventually(lambda: "is still left alone, now for another reason (" in log(one), 25), log(one))
            self.assertIn("WRONGPASS", log(one))
            self.assertEqual(log(one).count("left alone"), 2, log(one))
            self.assertNotIn("old-8", log(one))

    def test_silence_and_drops(self):
        def drip(connection):
            for byte in b"$1000\r\n" + b"x" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.01)
        self.assertGreater(self.ask(lambda connection: time.sleep(3)), 0)
        self.assertGreater(self.ask(drip), 0)


if __name__ == "__main__":
    harness.main()
