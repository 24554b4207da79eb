"""Fetches something behind a Waitroom, and waits politely for its turn when there is a queue. Standard library only.

python waiting_client.py https://shop.example/api/cart
"""

import json
import random
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin
from urllib.request import Request, urlopen


class Waiting:
    """One visitor. `proof` is what to send as `Authorization: Waitroom <proof>`: a place, and later the pass."""

    def __init__(self, url, tell=lambda me: None):
        self.url, self.tell, self.proof, self.epoch = url, tell, "", None

    def fetch(self):
        """Return the site's answer to a GET of the URL, at this visitor's turn."""
        answer = self.send(self.url)
        if answer.status != 429 or "waitroom-location" not in answer.headers:
            return answer
        addresses = json.load(answer)
        me = self.ask(addresses["join"], "POST")
        while True:
            self.proof = me.get("token") or self.proof
            self.tell(me)
            if me["state"] == "closed":
                raise PermissionError(f"nobody is let in any more: {me['view']}")
            if me["view"] == "called" or me["state"] in {"active", "off"}:
                answer = self.send(self.url)
                if answer.status != 429:
                    return answer
            time.sleep(me["poll_after_seconds"] * random.uniform(0.9, 1.2))
            me = self.look(me, addresses)

    def look(self, me, addresses):
        """Return where we stand now. Far from the front, the document that all share tells it."""
        if me["state"] in {"new", "missed"}:
            return self.ask(addresses["join"], "POST")
        if me["state"] == "waiting":
            room = self.ask(addresses["queue"])
            before, self.epoch = self.epoch or room["epoch"], room["epoch"]
            if room["generation"] != me["generation"] or room["epoch"] != before:
                time.sleep(random.uniform(0, room["spread_seconds"]))
            elif me["score_us"] > room["frontier_us"]:
                position = min(me["position"], read(room["sketch"], me["score_us"]))
                if position > room["near"]:
                    seconds = next(row[1] for row in room["polls"] if position <= row[0])
                    wait = next((row[1:] for row in room["waits"] if position <= row[0]), None)
                    told = wait and {"low_minutes": wait[0], "high_minutes": wait[1]}
                    now = {"view": room["view"], "position": position, "wait": told, "poll_after_seconds": seconds}
                    return me | now
        return self.ask(addresses["me"])

    def ask(self, address, method="GET"):
        """Return JSON. Asks again for ever: later each time, at random, and never before Retry-After."""
        failures = 0
        while True:
            pause = random.uniform(0, min(60, 2**failures))
            try:
                answer = self.send(address, method)
            except (URLError, OSError):
                pass
            else:
                if answer.status == 200:
                    return json.load(answer)
                if answer.status < 500 and answer.status != 429:
                    raise ValueError(f"{address}: {answer.status}")
                pause = max(pause, int(answer.headers.get("retry-after", 0)))
            time.sleep(pause)
            failures += 1

    def send(self, address, method="GET"):
        """Return any answer, and keep the proof that came with it."""
        request = Request(urljoin(self.url, address), method=method)
        if self.proof:
            request.add_header("Authorization", f"Waitroom {self.proof}")
        try:
            answer = urlopen(request, timeout=60)
        except HTTPError as error:
            answer = error
        self.proof = answer.headers.get("waitroom-pass") or answer.headers.get("waitroom-token") or self.proof
        return answer


def read(sketch, score):
    """Return the position of a score: linear between two points; whoever came later stands behind all of them."""
    before = None
    for point in sketch:
        if point[0] >= score:
            if before is None:
                return point[1]
            return before[1] + round((point[1] - before[1]) * (score - before[0]) / (point[0] - before[0]))
        before = point
    return (before[1] if before else 0) + 1


if __name__ == "__main__":
    waiting = Waiting(sys.argv[1], tell=lambda me: print(me["view"], me["position"] or "", file=sys.stderr))
    sys.stdout.write(waiting.fetch().read().decode())
