// What is added to the pages where scripts run: moving through a stream without loading the page
// anew, the arrow keys, and transitions. Every page is readable without it.

const slider = document.querySelector("#at");
if (slider) {
  document.documentElement.dataset.enhanced = "";
  travel(slider);
  transitions(document.querySelector("#take"));
}

/** Moves through the events: by the slider, by links, by keys, and by the browser's history. */
function travel(slider) {
  slider.addEventListener("input", () => follow(slider));
  slider.form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(slider.value, "push");
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-at]");
    const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (!link || !isPlain) return;
    event.preventDefault();
    go(link.dataset.at, "push");
  });

  const steps = {
    ArrowLeft: () => slider.stepDown(),
    ArrowRight: () => slider.stepUp(),
    Home: () => (slider.value = slider.min),
    End: () => (slider.value = slider.max),
  };
  document.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    const isTaken = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
    // A field, the slider, and a text that scrolls have their own use for these keys.
    if (!step || isTaken || event.target.closest("input, textarea, select, dialog, pre")) return;
    event.preventDefault();
    step();
    follow(slider);
  });

  addEventListener("popstate", () => show(location.href));
}

let isFollowing = false;

/** Shows where the slider is, until it rests: one question at a time, however fast it moves. */
async function follow(slider) {
  place(slider.value);
  if (isFollowing) return;
  isFollowing = true;
  let shown;
  try {
    do {
      shown = slider.value;
      await go(shown, "replace");
    } while (slider.value !== shown);
  } finally {
    isFollowing = false;
  }
}

function place(at) {
  document.querySelector(".place strong").textContent = Number(at).toLocaleString("en");
}

/** Goes to an event, and says so in the address. */
function go(at, how) {
  const address = new URL(location.href);
  address.searchParams.set("at", at);
  return show(address, how);
}

let asking;

/** Fetches a page and exchanges the parts of this one that differ from moment to moment. */
async function show(address, how) {
  asking?.abort();
  asking = new AbortController();
  const before = document.querySelector("#at").value;
  let page;
  try {
    const answer = await fetch(address, { signal: asking.signal, headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch (error) {
    if (error.name === "AbortError") return;
    // The browser knows best how to show a page that cannot be fetched.
    location.assign(address);
    return;
  }
  exchange(page, before);
  try {
    if (how === "push") history.pushState(null, "", address);
    if (how === "replace") history.replaceState(null, "", address);
  } catch {
    // Some browsers refuse too many changes of the address in a short time; it follows later.
  }
}

/** Exchanges the parts; the slider stays where it was moved to while the page was fetched. */
function exchange(page, before) {
  const focused = document.activeElement;
  const home = focused?.closest("#now, #steps, #moment, #timeline");
  const wasOpen = document.querySelector("#moment details").open;
  for (const id of ["now", "standing", "steps", "moment", "timeline"]) {
    document.getElementById(id).replaceWith(document.adoptNode(page.getElementById(id)));
  }
  document.querySelector("#moment details").open = wasOpen;

  const slider = document.querySelector("#at");
  const fresh = page.querySelector("#at");
  const isElsewhere = slider.value !== before;
  slider.max = fresh.max;
  if (isElsewhere) place(slider.value);
  else slider.value = fresh.value;
  slider.disabled = fresh.disabled;
  slider.setAttribute("aria-valuetext", fresh.getAttribute("aria-valuetext"));
  enable();

  if (home) {
    const same = focused.id ? document.getElementById(focused.id) : null;
    const shown = home.id === "timeline" && document.querySelector("#timeline [aria-current]");
    const next = shown || (same?.matches("a, button, pre") && same) || slider;
    next.focus({ preventScroll: true });
  }
  // The slider says where it is by itself.
  if (document.activeElement !== slider) tell(slider.getAttribute("aria-valuetext"));
}

/** Says something to those who listen. */
function tell(text) {
  document.querySelector("#told").textContent = text;
}

function enable() {
  for (const button of document.querySelectorAll(".transition")) button.disabled = false;
}

/** Asks who takes a transition and why, and sends it. */
function transitions(dialog) {
  const part = (name) => dialog.querySelector(`#take-${name}`);
  const form = dialog.querySelector("form");
  let taking;

  enable();
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".transition");
    if (!button) return;
    const { event: name, from, to } = button.dataset;
    // The id is made once, so that sending again after a lost answer records it once.
    taking = { eventId: newId(), fromState: from, toState: to, event: name };
    part("title").textContent = name;
    part("change").textContent = `${from} → ${to}`;
    form.elements.reason.value = "";
    complain("");
    dialog.showModal();
    form.elements[form.elements.actor.value ? "reason" : "actor"].focus();
  });
  part("cancel").addEventListener("click", () => dialog.close());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = part("submit");
    submit.disabled = true;
    complain("");
    try {
      const problem = await send(dialog.dataset.address, taking, form.elements);
      if (problem) {
        complain(problem);
        return;
      }
      dialog.close();
      const address = new URL(location.href);
      address.searchParams.delete("at");
      await show(address, "push");
      tell(`${taking.event} is recorded, the state is ${taking.toState}`);
    } finally {
      submit.disabled = false;
    }
  });

  function complain(text) {
    part("problem").textContent = text;
    part("problem").hidden = !text;
  }
}

/** Sends a transition; gives what is wrong, in words, or nothing. */
async function send(address, taking, { actor, reason }) {
  const transition = { ...taking };
  if (actor.value.trim()) transition.actor = actor.value.trim();
  if (reason.value.trim()) transition.reason = reason.value.trim();
  let answer;
  try {
    answer = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(transition),
    });
  } catch {
    return "The server cannot be reached. Sending it again is safe: it is recorded once.";
  }
  if (answer.ok) return "";
  const problem = await answer.json().catch(() => ({}));
  const words = [problem.detail ?? problem.title ?? `The server answered ${answer.status}.`, problem.hint];
  return words.filter(Boolean).join(" ");
}

/** A random UUID. `crypto.randomUUID` is missing where a page is not served securely. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
