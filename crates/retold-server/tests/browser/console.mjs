// What a person does with the console, done by a browser: `node console.mjs <address> <breakout>
// <browser> <pictures>`. Started by ../browser.rs, which also serves the console.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import axe from "axe-core";
import { chromium } from "playwright-core";

const [address, breakout, executablePath, pictures] = process.argv.slice(2);
mkdirSync(pictures, { recursive: true });
// An empty profile, so that nothing of the person who runs this plays a part.
const profile = mkdtempSync(join(tmpdir(), "console-browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
// Pages differ in theme, width and scripts, so each step gets a context of its own.
const host = browser.browser();

const stream = (type, id, at) =>
  `${address}/streams/${type}/${encodeURIComponent(id)}${at ? `?at=${at}` : ""}`;
const LONG_ID = "i".repeat(512);
const HOSTILE = [
  "a/b/c",
  "100% & \"quoted\" 'single' <b>bold</b>",
  "%2e%2e%2f",
  "crab \u{1F980} \u{202E}right to left",
  "?at=1#top",
  breakout,
  LONG_ID,
];

let steps = 0;

/** Runs a step on a page of its own, which must not complain but for what is expected. */
async function step(name, options, work) {
  const { expected = /^$/, ...settings } = options;
  const context = await host.newContext({ viewport: { width: 1280, height: 800 }, ...settings });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    const isBad = ["error", "warning"].includes(message.type());
    if (isBad && !expected.test(message.text())) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(address)) complaints.push(`asks elsewhere: ${request.url()}`);
  });
  try {
    await work(page, context);
    assert.deepEqual(complaints, [], "the browser complains");
  } catch (error) {
    await page.screenshot({ path: join(pictures, "failed.png") }).catch(() => {});
    throw new Error(name, { cause: error });
  } finally {
    await context.close();
  }
  steps += 1;
  console.log(`ok: ${name}`);
}

/** No finding of axe-core, no sideways scrolling, nothing broken out. */
async function sound(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  const findings = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
  assert.deepEqual(findings, [], `axe-core finds something at ${page.url()}`);
  const { wide, lost } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const isOut = (element) => {
      const box = element.getBoundingClientRect();
      return box.width > 1 && (box.right > clientWidth + 1 || box.left < -1);
    };
    const lost = [...document.querySelectorAll("body *")].filter(isOut);
    return { wide: scrollWidth - clientWidth, lost: lost.map((element) => element.outerHTML.slice(0, 80)) };
  });
  assert.equal(wide, 0, `${page.url()} scrolls sideways`);
  assert.deepEqual(lost, [], `something is cut off at ${page.url()}`);
  assert.equal(await page.evaluate(() => globalThis.broken), undefined, "a payload broke out");
}

const place = (page) => page.locator(".place").innerText();
const headline = (page) => page.locator("#moment-title").innerText();

try {
  await step("finds a stream and moves through it by mouse", {}, async (page) => {
    await page.goto(address);
    await page.getByLabel("Id begins with").fill("ISSUE-0");
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/prefix=ISSUE-0/);
    assert.equal(await page.locator(".streams li").count(), 9);
    await page.getByRole("link", { name: "ISSUE-03" }).click();
    await page.getByRole("heading", { level: 1, name: "ISSUE-03" }).waitFor();
    assert.match(await place(page), /^Event 9 of 9$/);
    assert.match(await headline(page), /DEPLOYED stays/);

    await page.locator("#timeline a[data-at='2']").click();
    await page.getByText("Event 2 of 9", { exact: true }).waitFor();
    assert.match(page.url(), /at=2$/);
    assert.match(await headline(page), /IN_PROGRESS.*BLOCKED/s);
    assert.match(await page.locator("#moment").innerText(), /Waiting for the staging database/);
    assert.match(await page.locator(".state").innerText(), /BLOCKED\s+was IN_PROGRESS/);

    await page.locator("#at").scrollIntoViewIfNeeded();
    const slider = await page.locator("#at").boundingBox();
    await page.mouse.click(slider.x + slider.width / 2, slider.y + slider.height / 2);
    await page.getByText("Event 5 of 9", { exact: true }).waitFor();
    await page.mouse.move(slider.x + slider.width / 2, slider.y + slider.height / 2);
    await page.mouse.down();
    await page.mouse.move(slider.x + slider.width - 2, slider.y + slider.height / 2, { steps: 12 });
    await page.mouse.up();
    await page.getByText("Event 9 of 9", { exact: true }).waitFor();
    await page.waitForURL(/at=9$/);

    await page.locator("#timeline a[data-at='2']").click();
    await page.getByText("Event 2 of 9", { exact: true }).waitFor();
    await page.getByRole("link", { name: /^start_work, event 1 of Issue/ }).click();
    await page.getByText("Event 1 of 9", { exact: true }).waitFor();
    await page.goBack();
    await page.getByText("Event 2 of 9", { exact: true }).waitFor();
    await page.getByRole("link", { name: "sprint-0" }).click();
    assert.ok((await page.locator(".story li").count()) > 9);
  });

  await step("moves through it by keyboard", {}, async (page) => {
    await page.goto(stream("Issue", "ISSUE-03"));
    for (const [key, at] of [["Home", 1], ["ArrowRight", 2], ["ArrowRight", 3], ["ArrowLeft", 2], ["End", 9]]) {
      await page.keyboard.press(key);
      await page.getByText(`Event ${at} of 9`, { exact: true }).waitFor();
    }
    await page.locator("#at").focus();
    await page.keyboard.press("ArrowLeft");
    await page.getByText("Event 8 of 9", { exact: true }).waitFor();
    await page.waitForURL(/at=8$/);
    assert.match(await page.locator("#at").getAttribute("aria-valuetext"), /^Event 8 of 9, deploy, DEPLOYED$/);

    // By tab and enter alone: to the content, and along the steps without losing the focus.
    await page.reload();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    for (let tabs = 0; tabs < 12 && !(await page.locator("#step-earlier:focus").count()); tabs += 1) {
      await page.keyboard.press("Tab");
    }
    for (const at of [7, 6]) {
      await page.keyboard.press("Enter");
      await page.getByText(`Event ${at} of 9`, { exact: true }).waitFor();
      await page.locator("#step-earlier:focus").waitFor();
    }
    await page.locator("#timeline a[data-at='3']").focus();
    await page.keyboard.press("Enter");
    await page.locator("#timeline a[data-at='3'][aria-current]:focus").waitFor();
  });

  await step("keeps up with a key that is held, also over a slow line", {}, async (page) => {
    await page.goto(stream("Sensor", "greenhouse-7"));
    await page.route("**/streams/**", async (route) => {
      await new Promise((done) => setTimeout(done, 80));
      await route.continue();
    });
    for (let times = 0; times < 30; times += 1) await page.keyboard.press("ArrowLeft");
    await page.getByText("Event 1,970 of 2,000", { exact: true }).waitFor();
    await page.locator("#timeline a[data-at='1970'][aria-current]").waitFor();
    await page.waitForURL(/at=1970$/);
    assert.equal(await page.locator("#at").inputValue(), "1970");
    await page.unrouteAll({ behavior: "wait" });
  });

  await step("takes a transition and sees it", { expected: /status of 409/ }, async (page, context) => {
    const other = await context.newPage();
    await other.goto(stream("Issue", "ISSUE-08"));
    await page.goto(stream("Issue", "ISSUE-08", 1));
    const before = await page.locator("#now .status").innerText();
    assert.equal(before, "IN_PROGRESS");
    const button = page.getByRole("button", { name: /^submit_review/ });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.getByLabel("Who takes it").fill("eve");
    await page.keyboard.press("Tab");
    await page.keyboard.type(`Please look ${breakout}`);
    await sound(page);
    await page.getByRole("button", { name: "Record" }).click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.locator("#now .status", { hasText: "IN_REVIEW" }).waitFor();
    assert.match(await headline(page), /IN_PROGRESS.*IN_REVIEW/s);
    assert.match(await page.locator(".account").first().innerText(), /eve\s[^]*Please look <\/pre><script>/);
    await page.locator("#told", { hasText: "submit_review is recorded" }).waitFor({ state: "attached" });
    await page.getByRole("button", { name: /^merge/ }).waitFor();
    await sound(page);

    // The other page does not know of it yet, and is told.
    await other.getByRole("button", { name: /^block/ }).click();
    await other.getByRole("button", { name: "Record" }).click();
    await other.getByRole("alert").filter({ hasText: "IN_REVIEW" }).waitFor();
    await sound(other);
    await other.keyboard.press("Escape");
    await other.getByRole("dialog").waitFor({ state: "hidden" });
  });

  await step("is readable without scripts", { javaScriptEnabled: false }, async (page) => {
    await page.goto(stream("Issue", "ISSUE-03"));
    await page.getByRole("link", { name: "Earlier", exact: true }).click();
    assert.match(await place(page), /^Event 8 of 9$/);
    await page.locator("#at").focus();
    await page.keyboard.press("ArrowLeft");
    await page.getByRole("button", { name: "Show" }).click();
    assert.match(await place(page), /^Event 7 of 9$/);
    await page.locator("#timeline a[data-at='2']").click();
    assert.match(await place(page), /^Event 2 of 9$/);
    await page.goto(stream("Issue", "ISSUE-01"));
    assert.ok(await page.getByRole("button", { name: /^merge/ }).isDisabled());
  });

  await step("a long stream is shown in part", {}, async (page) => {
    await page.goto(stream("Sensor", "greenhouse-7", 1000));
    assert.equal(await page.locator("#timeline li").count(), 25);
    await page.getByRole("link", { name: "Older events" }).click();
    await page.getByText("Event 976 of 2,000", { exact: true }).waitFor();
    await sound(page);
  });

  await step("hostile ids and payloads stay text", {}, async (page) => {
    for (const id of HOSTILE) {
      for (const at of [undefined, 1]) {
        await page.goto(stream("Issue", id, at));
        assert.equal(await page.locator("h1").innerText(), id);
        await sound(page);
      }
      assert.ok((await page.locator(".payload").innerText()).includes("<script>window.broken"));
    }
    // Links lead there too, also by the module.
    await page.goto(`${address}/?prefix=${encodeURIComponent(breakout)}`);
    await page.getByRole("link", { name: breakout }).click();
    await page.getByText("Event 2 of 2", { exact: true }).waitFor();
    await page.keyboard.press("ArrowLeft");
    await page.getByText("Event 1 of 2", { exact: true }).waitFor();
    await page.getByRole("button", { name: /^block/ }).click();
    await page.getByRole("button", { name: "Record" }).click();
    await page.getByText("Event 3 of 3", { exact: true }).waitFor();
    await sound(page);
  });

  await step("decides about a consumer by mouse", {}, async (page) => {
    await page.goto(address);
    await page.getByRole("link", { name: "Consumers" }).click();
    await page.getByRole("link", { name: "mailer" }).click();
    await page.getByRole("heading", { level: 1, name: "mailer" }).waitFor();
    assert.equal(await page.locator(".parked li").count(), 3);
    await sound(page);
    await page.getByText("mailbox full").waitFor();
    await page.locator(".parked li", { hasText: "mailbox full" }).getByRole("button", { name: /^Try again/ }).click();
    await page.getByText("It is tried again").waitFor();
    assert.equal(await page.locator(".parked li").count(), 2);

    const other = page.locator(".parked li", { hasText: "no such address" });
    await other.getByRole("button", { name: /^Pass over/ }).click();
    await page.getByLabel("Reason, kept in the log").fill("Ben has left");
    await page.getByRole("button", { name: "Record" }).click();
    await page.getByText("It is passed over").waitFor();
    assert.equal(await page.locator(".parked li").count(), 1);

    await page.getByRole("button", { name: "Audit mailer" }).click();
    await page.getByText(/^Complete through position \d+: .* 1 passed over\.$/).waitFor();
    await sound(page);
  });

  await step("pauses a consumer and resumes it by keyboard", {}, async (page) => {
    await page.goto(`${address}/consumers/mailer`);
    await page.locator("#pause").focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Why does mailer pause?" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#ask").isVisible(), false);
    await page.locator("#pause").focus();
    await page.keyboard.press("Enter");
    await page.keyboard.type("Moving house");
    await sound(page);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#live").getByText("Moving house").waitFor();
    await page.locator("#resume").focus();
    await page.keyboard.press("Enter");
    await page.locator("#pause").waitFor();
    assert.equal(await page.locator("#told").innerText(), "mailer goes on");
  });

  await step("tries a receiver out, and is told why it is not reached", {}, async (page) => {
    await page.goto(`${address}/consumers/notifier`);
    await page.getByRole("button", { name: "Send a test notifier" }).click();
    await page.locator("#failed").getByText(/The test was not delivered: failed to find the secret hook/).waitFor();
    await page.locator("#live").getByText("no answer").waitFor();
    await sound(page);
  });

  await step("a consumer is readable without scripts", { javaScriptEnabled: false }, async (page) => {
    await page.goto(`${address}/consumers/mailer`);
    assert.match(await page.locator(".facts").innerText(), /Complete through/);
    assert.ok(await page.locator("#pause").isDisabled());
  });

  await step("sees how work flows, and who took a path, by mouse", {}, async (page) => {
    await page.goto(address);
    await page.getByRole("link", { name: "Processes" }).click();
    await page.getByRole("link", { name: "Issue", exact: true }).click();
    await page.getByRole("heading", { level: 2, name: "How it flows" }).waitFor();
    const path = page.getByRole("link", { name: /^start_work to block: \d+ times, median / });
    const drawn = page.locator("svg a.way").filter({ has: page.locator("title", { hasText: /^start_work to block/ }) });
    assert.equal(await path.count(), 1);
    // On the line itself, where a person points.
    const at = await drawn.locator(".line").evaluate((line) => {
      const middle = line.getPointAtLength(line.getTotalLength() * 0.9);
      const { x, y } = middle.matrixTransform(line.getScreenCTM());
      return { x, y: y + window.scrollY };
    });
    await page.evaluate((y) => window.scrollTo(0, y - 300), at.y);
    const scrolled = await page.evaluate(() => window.scrollY);
    await page.mouse.click(at.x, at.y - scrolled);
    await page.getByRole("heading", { level: 1, name: "start_work to block" }).waitFor();
    assert.ok((await page.locator(".streams li").count()) > 5);
    await page.locator(".streams .id").first().click();
    await page.waitForURL(/streams\/Issue\/ISSUE-/);
    await page.goBack();
    await page.getByRole("link", { name: "Issue", exact: true }).click();

    const before = await page.locator("svg a.way").count();
    await page.getByLabel("Paths in the graph").selectOption("main");
    await page.getByRole("button", { name: "Show" }).click();
    await page.waitForURL(/paths=main/);
    const fewer = await page.locator("svg a.way").count();
    assert.ok(fewer > 0 && fewer < before, `${fewer} of ${before} paths`);
    const month = await page.locator("#month option").nth(1).getAttribute("value");
    await page.getByLabel("Month").selectOption(month);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText(`, in ${month}.`).waitFor();
    await sound(page);
  });

  await step("follows a path by keyboard", {}, async (page) => {
    await page.goto(`${address}/processes/Issue`);
    await page.getByRole("button", { name: "Show" }).focus();
    await page.keyboard.press("Tab");
    const link = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.match(link, /(begin with|times|once)/);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/processes\/Issue\/streams\?/);
    await page.goBack();
    await page.locator("details summary").focus();
    await page.keyboard.press("Enter");
    assert.ok(await page.locator("details[open] table").isVisible());
    await sound(page);
  });

  await step("sees what caused what, by mouse and by keyboard", {}, async (page) => {
    await page.goto(`${address}/correlations/sprint-0`);
    await page.getByRole("link", { name: "See what caused what" }).click();
    await page.waitForURL(/traces\/sprint-0/);
    assert.ok((await page.locator(".branches .branches li").count()) > 5, "events stand under their causes");
    await page.locator(".branches .branches a").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/streams\/Issue\/.*at=/);
    await page.goBack();
    await page.getByRole("link", { name: "In the order of the log" }).click();
    await page.waitForURL(/correlations\/sprint-0/);
  });

  await step("finds streams by their status", {}, async (page) => {
    await page.goto(`${address}/?type=Issue`);
    const blocked = page.getByRole("link", { name: /^BLOCKED \d+$/ });
    const count = Number((await blocked.innerText()).match(/\d+/)[0]);
    await blocked.click();
    await page.waitForURL(/status=BLOCKED/);
    assert.equal(await page.locator(".streams li").count(), count);
    assert.equal(await page.locator(".streams .status").first().innerText(), "BLOCKED");
    await page.getByRole("link", { name: "Last written first" }).click();
    await page.getByRole("link", { name: "More streams" }).click();
    assert.ok((await page.locator(".streams li").count()) > 5);
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const width of [380, 1280]) {
      const options = {
        colorScheme,
        viewport: { width, height: 800 },
        reducedMotion: "reduce",
        isMobile: width < 500,
        hasTouch: width < 500,
        expected: /status of 40[04]/,
      };
      await step(`looks right: ${colorScheme}, ${width} pixels`, options, async (page) => {
        const views = {
          streams: address,
          nothing: `${address}/?prefix=none`,
          stream: stream("Issue", "ISSUE-09"),
          moment: stream("Issue", "ISSUE-03", 2),
          long: stream("Sensor", "greenhouse-7", 1000),
          hostile: stream("Issue", breakout, 1),
          longest: stream("Issue", LONG_ID),
          correlation: `${address}/correlations/sprint-0`,
          trace: `${address}/traces/sprint-0`,
          statuses: `${address}/?type=Issue&status=BLOCKED`,
          processes: `${address}/processes`,
          process: `${address}/processes/Issue`,
          main: `${address}/processes/Issue?paths=main`,
          path: `${address}/processes/Issue/streams?from=start_work&to=block`,
          unflowing: `${address}/processes/None`,
          consumers: `${address}/consumers`,
          consumer: `${address}/consumers/mailer`,
          webhook: `${address}/consumers/notifier`,
          unknown: `${address}/consumers/nobody`,
          missing: stream("Issue", "none"),
          invalid: stream("Issue", "ISSUE-03", "last"),
        };
        for (const [name, view] of Object.entries(views)) {
          await page.goto(view);
          await sound(page);
          const path = join(pictures, `${name}-${colorScheme}-${width}.png`);
          await page.screenshot({ path, fullPage: true });
        }
        await page.goto(views.moment);
        await page.locator("details summary").click();
        await sound(page);
        await page.goto(views.stream);
        await page.locator(".transition").first().click();
        await sound(page);
        await page.screenshot({ path: join(pictures, `dialog-${colorScheme}-${width}.png`) });
      });
    }
  }
  console.log(`${steps} steps; pictures in ${pictures}`);
} catch (error) {
  console.error("FAILED:", error);
  process.exitCode = 1;
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
