// The chat box: sends the conversation, shows the answer as it comes, strikes out what was retracted, finds its record.
"use strict";

(() => {
  const talk = document.getElementById("talk");
  const form = document.getElementById("ask");
  const box = form.elements.text;
  const send = document.getElementById("send");
  const words = form.dataset;
  let conversation = [];

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  };

  const bubble = (role) => {
    const said = make("div", `said ${role}`);
    said.append(make("div", "words"), make("div", "under"));
    talk.append(said);
    return said;
  };

  const badge = (tone, text) => make("span", `state ${tone}`, text);

  // Cuts on LF and CR LF bytes only; a piece of the network may end anywhere.
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const lines = rest.split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const text = line.replace(/\r$/, "");
        if (text.startsWith("data:")) yield text.slice(5).trim();
      }
    }
  }

  async function findRecord(answer, under) {
    if (!answer) return;
    const place = make("small", "", words.waiting);
    under.append(place);
    const deadline = Date.now() + 20_000;
    while (Date.now() < deadline) {
      const response = await fetch(words.record.replace("ANSWER", encodeURIComponent(answer)));
      const found = await response.json();
      if (found.record) {
        const link = make("a", "", words.see);
        link.href = words.page.replace("RECORD", encodeURIComponent(found.record));
        link.dataset.recordLink = found.record;
        place.replaceWith(link);
        return;
      }
      await new Promise((next) => setTimeout(next, 400));
    }
    place.textContent = words.late;
  }

  // What is copied or taken along carries the label (Labelling Measures Art. 4): the words go with the text.
  const wording = words.words || words.shown; // an empty one would be in every text
  const labelled = (text) => (text.includes(wording) || text.includes(words.shown) ? text : `${text.trimEnd()}\n\n${wording}`);

  function takeAlong(shown, under, answered, label) {
    shown.addEventListener("copy", (event) => {
      event.clipboardData.setData("text/plain", labelled(String(getSelection())));
      event.preventDefault();
    });
    const copy = make("button", "small", words.copy);
    copy.type = "button";
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(labelled(answered));
      copy.textContent = words.copied;
    });
    const out = make("form", "inline");
    out.method = "post";
    out.action = words.export;
    const fields = { csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value, text: answered, produce_id: label.ProduceID };
    for (const [name, value] of Object.entries(fields)) {
      const field = make("input");
      Object.assign(field, { type: "hidden", name, value });
      out.append(field);
    }
    for (const format of ["docx", "md", "html", "txt"]) {
      const button = make("button", "small", `${words.take} ${format}`);
      Object.assign(button, { name: "format", value: format });
      out.append(button);
    }
    under.append(copy, out);
  }

  // An error says everything in Chinese and then in English; a page is read in one of them.
  function told(error) {
    const message = (error && error.message) || words.broken;
    const halves = message.split(" / ");
    if (halves.length !== 2) return message;
    return document.documentElement.lang.startsWith("zh") ? halves[0] : `${message.split(" ", 1)[0]} ${halves[1]}`;
  }

  async function ask(text) {
    const mine = bubble("user");
    mine.firstChild.textContent = text;
    mine.lastChild.remove();
    conversation.push({ role: "user", content: text });
    const said = bubble("model");
    const shown = said.firstChild;
    const under = said.lastChild;
    said.classList.add("waiting");
    said.scrollIntoView({ block: "end" });
    let answer = "", answered = "", label = null, retraction = null, problem = "", ended = false;
    try {
      const response = await fetch(form.action, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
        body: JSON.stringify({ model: form.elements.model.value, messages: conversation }),
      });
      answer = response.headers.get("X-Guiju-Answer") || "";
      if (!(response.headers.get("content-type") || "").startsWith("text/event-stream")) {
        if (!(response.headers.get("content-type") || "").startsWith("application/json")) throw new Error("no answer");
        const body = await response.json();
        problem = told(body.error);
      } else {
        for await (const data of events(response)) {
          if (data === "[DONE]") { ended = true; break; }
          const chunk = JSON.parse(data);
          if (chunk.error) problem = told(chunk.error);
          if (chunk.aigc) label = chunk.aigc;
          if (chunk.retraction) retraction = chunk.retraction;
          for (const choice of chunk.choices || []) {
            if (choice.delta && typeof choice.delta.content === "string") {
              answered += choice.delta.content;
              shown.textContent = answered;
            }
          }
        }
        if (!ended && !problem) problem = words.broken;
      }
    } catch (failure) {
      problem = words.broken;
    }
    said.classList.remove("waiting");
    if (retraction) {
      const notice = answered.lastIndexOf(retraction.replace_with);
      const before = (notice > 0 ? answered.slice(0, notice) : "").trim();
      shown.textContent = "";
      if (before) shown.append(make("del", "", before), "\n");
      shown.append(make("strong", "", retraction.replace_with));
      under.append(badge("bad", words.stopped));
      conversation.pop();
    } else if (problem) {
      shown.append(make("strong", "", (answered ? "\n" : "") + problem));
      under.append(badge("warn", words.refused));
      conversation.pop();
      box.value = text;
    } else {
      under.append(badge("good", words.delivered));
      conversation.push({ role: "assistant", content: answered });
    }
    if (label) {
      const line = make("span", "", `${words.labelled}: ${words[label.explicit] || label.explicit || ""} · ${label.ProduceID}`);
      line.dataset.produce = label.ProduceID;
      under.append(line);
      if (label.explicit_required) under.append(make("strong", "", words.shown));
      if (!retraction && !problem && answered) takeAlong(shown, under, answered, label);
    }
    await findRecord(answer, under);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text || send.disabled) return;
    box.value = "";
    send.disabled = true;
    try { await ask(text); } finally { send.disabled = false; box.focus(); }
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  document.getElementById("clear").addEventListener("click", () => { conversation = []; talk.textContent = ""; });
})();
