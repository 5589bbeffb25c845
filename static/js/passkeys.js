/* Passkeys: a form with data-passkey="create" or "get" is sent once the browser has made or asked for a passkey.
   data-options is where it learns what for; the answer goes into the field credential. Such forms are hidden until
   this script finds that the browser knows passkeys. */
(() => {
  "use strict";
  if (!window.PublicKeyCredential) return;

  const TEXTS = {
    NotAllowedError: "That was cancelled, or took too long.",
    InvalidStateError: "This device has a passkey of yours already.",
    SecurityError: "Passkeys work at this portal's own address only. Open it there.",
  };

  const toBytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-")
      .replace(/\//g, "_")
      .replace(/=+$/, "");
  const known = (credentials) => (credentials ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));

  const ask = {
    create: (options) =>
      navigator.credentials.create({
        publicKey: {
          ...options,
          challenge: toBytes(options.challenge),
          user: { ...options.user, id: toBytes(options.user.id) },
          excludeCredentials: known(options.excludeCredentials),
        },
      }),
    get: (options) =>
      navigator.credentials.get({
        publicKey: {
          ...options,
          challenge: toBytes(options.challenge),
          allowCredentials: known(options.allowCredentials),
        },
      }),
  };

  const toJson = ({ id, rawId, type, response }) => {
    const said = { clientDataJSON: toText(response.clientDataJSON) };
    if (response.attestationObject) {
      said.attestationObject = toText(response.attestationObject);
      said.transports = response.getTransports?.() ?? [];
    } else {
      said.authenticatorData = toText(response.authenticatorData);
      said.signature = toText(response.signature);
      said.userHandle = response.userHandle ? toText(response.userHandle) : null;
    }
    return JSON.stringify({ id, rawId: toText(rawId), type, response: said });
  };

  const getOptions = async (form) => {
    const answer = await fetch(form.dataset.options, { method: "POST", body: new FormData(form) });
    const options = await answer.json().catch(() => ({ error: "That did not work. Reload the page and try again." }));
    if (!answer.ok) throw new Error(options.error);
    return options;
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-passkey")) return;
    event.preventDefault();
    const problem = form.querySelector("[data-passkey-problem]");
    problem.hidden = true;
    try {
      const credential = await ask[form.dataset.passkey](await getOptions(form));
      form.elements.credential.value = toJson(credential);
      form.submit();
    } catch (error) {
      problem.querySelector("span").textContent = TEXTS[error.name] ?? error.message;
      problem.hidden = false;
    }
  });

  for (const form of document.querySelectorAll("form[data-passkey]")) form.hidden = false;
  for (const note of document.querySelectorAll("[data-without-passkeys]")) note.hidden = true;
})();
