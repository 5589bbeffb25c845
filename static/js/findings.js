/* Whoever selects words in an original ([data-original]) finds them in the form that corrects a finding. */
(() => {
  "use strict";
  const originalOf = (node) => node && (node.closest ? node : node.parentElement)?.closest("[data-original]");

  document.addEventListener("pointerup", () => {
    const selection = document.getSelection();
    const text = selection.toString().trim().replace(/\s+/g, " ");
    const original = originalOf(selection.anchorNode);
    if (!text || !original || original !== originalOf(selection.focusNode)) return;
    document.querySelector("[data-correction]").elements.namedItem("value").value = text;
  });
})();
