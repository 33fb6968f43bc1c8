#!/usr/bin/env python3
"""Opens a report in a headless browser, with the network off, as a reader would.

    Tests/Report/browser.py ISOGLOSS [REPORT.html]

Makes a small run of two seeds and two systems whose corpus is full of markup, and its report; or opens the report that is named.
Checks at 1,280 and at 390 pixels, in light and dark: every plot has shapes that can be seen, nothing is wider than the page, no
message in the console, no request but for the file, words of the corpus stand there as text, every picture and table has a
name; and that it prints. Needs chromium, which it drives over a pipe. The last line is what was counted.
"""
import base64
import json
import os
import select
import subprocess
import sys
import tempfile

HOSTILE = ["<script>alert(1)</script>", "\"><img/src=x/onerror=alert(1)>", "&lt;b&gt;", "</style><h1>owned</h1>", "'onload='x", "]]>"]


class Browser:
    def __init__(self):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        def pipes():
            # It reads 3 and writes 4.
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3), os.dup2(b, 4)

        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=" + self.folder.name],
            env=dict(os.environ, HOME=self.folder.name), preexec_fn=pipes, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read), os.close(to_write)
        self.rest, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)

    def message(self):
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], 60)[0]:
                self.end()
                sys.exit("the browser has said nothing for a minute")
            part = os.read(self.back, 1 << 20)
            if not part:
                sys.exit("the browser ended")
            self.rest += part
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def value(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"{result['exceptionDetails']}")
        return result["result"]["value"]

    def end(self):
        self.process.kill()
        self.process.wait()


PAGE = """(() => {
  const seen = svg => [...svg.querySelectorAll('polyline, circle, rect')].filter(shape => {
    const box = shape.getBoundingClientRect();
    return box.width + box.height > 0.5 && getComputedStyle(shape).visibility != 'hidden';
  }).length;
  for (const part of document.querySelectorAll('details')) part.open = true;
  return {
    plots: [...document.querySelectorAll('svg')].map(svg => [svg.getAttribute('aria-label') || '', seen(svg)]),
    outside: [...document.querySelectorAll('svg text')].filter(text => {
      const box = text.getBoundingClientRect(), own = text.ownerSVGElement.getBoundingClientRect();
      return box.left < own.left - 2 || box.right > own.right + 2;
    }).map(text => text.textContent),
    wide: document.documentElement.scrollWidth - innerWidth,
    tables: [...document.querySelectorAll('table')].filter(table => !table.caption || !table.caption.textContent).length,
    foreign: document.querySelectorAll('script, img, iframe, link, object, embed').length,
    headings: document.querySelectorAll('h1').length,
    text: document.body.innerText,
  };
})()"""


def hostile_run(program, folder):
    for part, count in (("train", 60), ("dev", 20), ("test", 30), ("other", 40), ("more", 25), ("last", 35)):
        lines = []
        for sentence in range(count):
            words = [HOSTILE[(sentence + place) % len(HOSTILE)] for place in range(5)]
            for place, word in enumerate(words):
                tag = "B-<LOC>" if (sentence * 7 + place) % 3 == 0 else "B-PER" if (sentence + place) % 5 == 0 else "O"
                lines.append(f"{word}\t{tag}")
            lines.append("")
        with open(f"{folder}/{part}.conll", "w") as file:
            file.write("\n".join(lines) + "\n")
    subprocess.run([program, "sample", "--out", folder + "/sample"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    with open(folder + "/run.yaml", "w") as file:
        file.write("""
task: token-classification
model: {family: bert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 4, intermediate_size: 64,
  max_position_embeddings: 64, type_vocab_size: 2}
tokenizer: sample/tokenizer
languages:
  xx: {train: [train.conll], dev: [dev.conll], test: [test.conll]}
  yy: {train: [other.conll], dev: [more.conll], test: [last.conll]}
output_dir: out
learning_rate: 3.0e-3
per_step_sentences: 8
max_steps: 40
logging_steps: 5
eval_strategy: steps
eval_steps: 10
seeds: [1, 2]
report: true
stages: [{name: "alone {language}", each: language}, {name: "both <b>"}]
""")
    log = subprocess.run([program, "train", folder + "/run.yaml", "--simulate-ranks", "2", "--threads", "1"],
                         capture_output=True, text=True, timeout=300)
    if log.returncode:
        sys.exit(log.stderr)
    return folder + "/out/report.html"


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        isHostile = len(sys.argv) < 3
        page = hostile_run(program, folder) if isHostile else os.path.abspath(sys.argv[2])
        browser = Browser()
        problems, plots = [], 0
        browser.call("Page.navigate", url="file://" + page)
        browser.wait("Page.loadEventFired")
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
                browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                found = browser.value(PAGE)
                plots = len(found["plots"])
                place = f"at {width} pixels, {scheme}: "
                problems += [place + f"plot '{name[:60]}' is empty or has no name" for name, shapes in found["plots"]
                             if shapes == 0 or not name]
                if plots == 0:
                    problems.append(place + "no plot")
                if found["wide"] > 0:
                    problems.append(place + f"the page is {found['wide']} pixels too wide")
                if found["tables"]:
                    problems.append(place + f"{found['tables']} tables without a caption")
                if found["foreign"] or found["headings"] != 1:
                    problems.append(place + "markup that the report does not write")
                problems += [place + f"'{text}' stands outside of its plot" for text in found["outside"]]
                if isHostile:
                    problems += [place + f"{word} does not stand there as text" for word in HOSTILE + ["<LOC>", "both <b>"]
                                 if word not in found["text"]]
        pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
        if not pdf.startswith(b"%PDF") or len(pdf) < 3_000:
            problems.append("it does not print")
        for event in browser.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                problems.append(f"console: {json.dumps(params)[:200]}")
            if method == "Network.requestWillBeSent" and params["request"]["url"] != "file://" + page:
                problems.append("request of " + params["request"]["url"][:100])
        browser.end()
    for problem in problems[:20]:
        print(problem)
    if problems:
        sys.exit(f"{len(problems)} problems")
    print(f"{plots} plots seen at 2 widths in 2 colour schemes")


main()
