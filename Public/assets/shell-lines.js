// Splits a block of shell text into complete commands, so that each can be run and waited for on its own.
//
// A command ends at a newline unless something is open: a quote, a backslash before the newline, a here-document,
// a trailing | && ||, brackets, or a compound (if … fi, for/while/until … done, case … esac). This is no parser of shell: it only
// has to know where a prompt would come back. When in doubt it joins lines; bash gets them in one paste and sorts it out.

const opens = new Set(["if", "for", "while", "until", "case", "select"]);
const closes = new Set(["fi", "done", "esac"]);

/**
 * @param {string} text
 * @returns {string[]} commands without their last newline; blank lines and lines of comment alone are left out
 */
export function splitCommands(text) {
  /** @type {string[]} */
  const commands = [];
  let start = 0;
  let quote = "";
  let depth = 0;
  let brackets = 0;
  let commandWord = true;
  let continued = false;
  /** @type {{word: string, tabs: boolean}[]} */
  let documents = [];
  let at = 0;
  let word = "";

  const endWord = () => {
    if (word && commandWord) {
      if (opens.has(word)) depth += 1;
      else if (closes.has(word)) depth -= 1;
      commandWord = ["if", "while", "until", "then", "do", "else", "elif", "!", "time", "{"].includes(word);
      if (word === "{") depth += 1;
      if (word === "}") depth -= 1;
    }
    if (word) continued = false;
    word = "";
  };
  const finish = (/** @type {number} */ end) => {
    const command = text.slice(start, end);
    if (command.split("\n").some(line => line.trim() && !line.trim().startsWith("#"))) commands.push(command);
    start = end + 1;
    depth = brackets = 0;
    continued = false;
    commandWord = true;
  };

  while (at < text.length) {
    const character = text[at];
    if (quote) {
      if (character === "\\" && quote === '"') at += 1;
      else if (character === quote) quote = "";
      at += 1;
      continue;
    }
    switch (character) {
      case "'": case '"': case "`":
        quote = character;
        word += character;
        break;
      case "\\":
        if (text[at + 1] === "\n") { at += 1; break; }
        word += character + (text[at + 1] ?? "");
        at += 1;
        break;
      case "#":
        if (word === "") {
          while (at + 1 < text.length && text[at + 1] !== "\n") at += 1;
        } else word += character;
        break;
      case "(":
        endWord();
        brackets += 1;
        commandWord = true;
        break;
      case ")":
        endWord();
        brackets = Math.max(0, brackets - 1); // a pattern of case has one without the other
        commandWord = true;
        break;
      case "<": {
        const found = /^<<(-?)\s*(?:'([^'\n]+)'|"([^"\n]+)"|\\?([^\s;&|<>()]+))/.exec(text.slice(at));
        if (text.startsWith("<<<", at)) { at += 2; endWord(); break; }
        endWord();
        if (found) {
          documents.push({ word: found[2] ?? found[3] ?? found[4], tabs: found[1] === "-" });
          at += found[0].length - 1;
        }
        break;
      }
      case "|": case "&": case ";":
        endWord();
        if (character === "|" || text[at + 1] === "&") continued = true;
        if (character !== ";" && text[at + 1] === character) at += 1;
        commandWord = true;
        break;
      case " ": case "\t":
        endWord();
        break;
      case "\n": {
        endWord();
        if (documents.length > 0) {
          at = skipDocuments(text, at + 1, documents) - 1;
          documents = [];
        }
        commandWord = true;
        if (depth <= 0 && brackets === 0 && !continued) finish(at);
        break;
      }
      default:
        word += character;
    }
    at += 1;
  }
  if (start < text.length) finish(text.length);
  return commands;
}

/**
 * @param {string} text @param {number} at the line after the one that opened them
 * @param {{word: string, tabs: boolean}[]} documents
 * @returns {number} just behind the last line's newline
 */
function skipDocuments(text, at, documents) {
  for (const { word, tabs } of documents) {
    while (at < text.length) {
      const end = text.indexOf("\n", at);
      const line = text.slice(at, end < 0 ? text.length : end);
      at = end < 0 ? text.length + 1 : end + 1;
      if ((tabs ? line.replace(/^\t+/, "") : line) === word) break;
    }
  }
  return at;
}
