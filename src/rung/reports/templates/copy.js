// Puts a button into each block of text that may be taken along; without it the text can be marked and copied by hand.
for (const block of document.querySelectorAll(".copies pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(block);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";  // works for a page opened from a file, where navigator.clipboard need not
  });
  block.before(button);
}
