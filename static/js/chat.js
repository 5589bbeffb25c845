/* The playground's conversation: a form with data-chat is sent to that address, and the answer is written as it comes.
   Without this script the form is sent as any other, and the page comes back with the whole answer. */
(() => {
  "use strict";
  const OUR_FAULT = "It is our fault and it was noted. Try again in a moment.";
  const OLD_PAGE = "This page is out of date. Copy what you need, reload it and send the message again.";
  const LOST = "The connection was lost. Try again in a moment.";
  let stopping = null; // of the answer under way

  const shownForm = () => document.getElementById("chat");
  const part = (name) => shownForm().querySelector(`[data-chat-${name}]`);
  const field = (name) => shownForm().elements.namedItem(name);
  const answerShown = () => part("log").querySelector(".bubbles > li:last-child > p");

  const setAnswering = (isAnswering) => {
    // Send and Stop make room for each other, and who pressed one goes on with the next message.
    if (document.activeElement.closest("#chat button")) field("text").focus({ preventScroll: true });
    shownForm().toggleAttribute("data-answering", isAnswering);
    part("log").setAttribute("aria-busy", isAnswering);
  };

  const replaceForm = (html) => {
    const form = new DOMParser().parseFromString(html, "text/html").getElementById("chat");
    if (!form) return false;
    const hadFocus = shownForm().contains(document.activeElement);
    shownForm().replaceWith(document.adoptNode(form));
    if (hadFocus) field("text").focus({ preventScroll: true });
    return true;
  };

  const showProblem = (message, isPartAnswered) => {
    const problem = part("problem");
    problem.querySelector("strong").textContent = isPartAnswered ? "Not the whole answer" : "No answer";
    problem.querySelector("p").textContent = message;
    problem.hidden = false;
  };

  const write = (piece) => {
    const stop = part("stop");
    const { top, bottom } = stop.getBoundingClientRect();
    answerShown().append(piece);
    // Whoever had the end of the conversation in view keeps it there.
    if (top >= 0 && bottom <= window.innerHeight) stop.scrollIntoView({ block: "nearest" });
  };

  const showMarked = (html) => {
    const marked = new DOMParser().parseFromString(html, "text/html").querySelector("p");
    answerShown().replaceWith(document.adoptNode(marked));
  };

  // What was said goes on from the answer, or, where there is none, from before the message.
  const keepAnswer = () => {
    const said = JSON.parse(field("said").value);
    said.at(-1).content = answerShown().textContent;
    field("said").value = JSON.stringify(said);
  };

  const takeBack = () => {
    const said = JSON.parse(field("said").value);
    const [message] = said.splice(-2);
    field("said").value = JSON.stringify(said);
    field("text").value ||= message.content;
    part("log").querySelectorAll(".bubbles > li:nth-last-child(-n + 2)").forEach((bubble) => bubble.remove());
    part("read")?.remove();
  };

  async function* eventsOf(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [, kind, data] = /^event: (\w+)\ndata: (.*)$/.exec(event);
        yield [kind, JSON.parse(data)];
      }
    }
  }

  // Returns what went wrong, if anything did.
  const follow = async (response) => {
    for await (const [kind, data] of eventsOf(response)) {
      if (kind === "begun") replaceForm(data);
      else if (kind === "piece") write(data);
      else if (kind === "marked") showMarked(data);
      else if (kind === "failed") return data;
      else if (kind === "ended") {
        part("note").textContent = data;
        return null;
      }
    }
    return LOST;
  };

  const receive = async (response) => {
    if (response.headers.get("Content-Type").startsWith("text/event-stream")) return follow(response);
    // Whoever is no longer signed in was led to the page for it.
    if (response.redirected) location.assign(response.url);
    else if (!replaceForm(await response.text())) return response.status >= 500 ? OUR_FAULT : OLD_PAGE;
    return null;
  };

  const send = async (form) => {
    const stopped = new AbortController();
    stopping = stopped;
    const request = { method: "POST", body: new FormData(form), signal: stopped.signal };
    part("problem").hidden = true;
    setAnswering(true);
    let problem;
    try {
      problem = await receive(await fetch(form.dataset.chat, request));
    } catch {
      problem = stopped.signal.aborted ? null : LOST;
    }
    stopping = null;
    const hasBegun = shownForm() !== form && shownForm().hasAttribute("data-answering");
    setAnswering(false);
    const isStopped = stopped.signal.aborted;
    const isKept = hasBegun && (answerShown().textContent !== "" || !(problem || isStopped));
    if (isKept) keepAnswer();
    else if (hasBegun) takeBack();
    if (isKept && isStopped) part("note").textContent = "Stopped. The tokens written until then are billed.";
    if (problem) showProblem(problem, isKept);
  };

  document.addEventListener("submit", (event) => {
    if (!event.target.hasAttribute("data-chat")) return;
    event.preventDefault();
    if (!stopping) send(event.target);
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-chat-stop]")) stopping?.abort();
  });
})();
