// What is added to the pages of consumers where scripts run: they stay up to date, and their
// buttons send what they say. Every page is readable without it.

const PAUSE_MS = 2000;

const dialog = document.querySelector("#ask");
const live = () => document.querySelector("#live");
let asking;

enable();
setInterval(() => {
  const isBusy = dialog.open || live().contains(document.activeElement);
  if (document.visibilityState === "visible" && !isBusy) refresh();
}, PAUSE_MS);

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.call");
  if (!button) return;
  if (button.dataset.audit) audit(button);
  else if (button.dataset.asks) ask(button);
  else call(button, {}).then(fail);
});

document.querySelector("#ask-cancel").addEventListener("click", () => dialog.close());

dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = await call(asking, { reason: dialog.querySelector("#why").value.trim() });
  complain("#ask-problem", problem);
  if (!problem) dialog.close();
});

function enable() {
  for (const button of document.querySelectorAll("button.call")) button.disabled = false;
}

/** Asks for the reason of what a button does. */
function ask(button) {
  asking = button;
  dialog.querySelector("#ask-title").textContent = button.dataset.asks;
  dialog.querySelector("#why").value = "";
  complain("#ask-problem", "");
  dialog.showModal();
  dialog.querySelector("#why").focus();
}

/** Sends what a button stands for; gives what is wrong, in words, or nothing. */
async function call(button, more) {
  const body = JSON.stringify({ ...JSON.parse(button.dataset.body), ...more });
  fail("");
  const [answer, problem] = await send(button.dataset.address, "POST", body);
  if (problem) return problem;
  if (answer.isDelivered === false) {
    await refresh();
    return `The test was not delivered: failed to ${answer.error}`;
  }
  await refresh();
  tell(button.dataset.told);
  return "";
}

/** Recomputes what should have been delivered, and says what was found. */
async function audit(button) {
  fail("");
  tell("Reading the log…");
  const [found, problem] = await send(button.dataset.audit, "GET");
  tell("");
  if (problem) return fail(problem);
  const counts = `${found.due} due, ${found.acknowledged} acknowledged, ${found.waiting} waiting, ` +
    `${found.skipped.length} passed over`;
  if (found.isComplete) tell(`Complete through position ${found.position}: ${counts}.`);
  else fail(`Not complete: ${found.expected} must have been acknowledged; ${counts}.`);
}

async function send(address, method, body) {
  const headers = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address, { method, headers, body });
  } catch {
    return [null, "The server cannot be reached."];
  }
  const value = await answer.json().catch(() => ({}));
  if (answer.ok) return [value, ""];
  const words = [value.detail ?? `The server answered ${answer.status}.`, value.hint];
  return [null, words.filter(Boolean).join(". ")];
}

/** Exchanges what differs from moment to moment. */
async function refresh() {
  let page;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    // It is tried again; what is shown stays.
    return;
  }
  const focused = live().contains(document.activeElement) ? document.activeElement.id : "";
  live().replaceWith(document.adoptNode(page.querySelector("#live")));
  enable();
  if (focused) (document.getElementById(focused) ?? document.querySelector("main")).focus();
}

/** Says something to those who listen, and to those who look. */
function tell(text) {
  document.querySelector("#told").textContent = text;
}

function fail(text) {
  complain("#failed", text);
}

function complain(place, text) {
  const element = document.querySelector(place);
  element.textContent = text;
  element.hidden = !text;
}
