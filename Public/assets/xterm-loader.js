// Loads xterm.js and its add-ons from the server, and lets it work under a Content-Security-Policy without inline styles.
//
// xterm.js 5.3 makes <style> elements and sets style attributes while it draws with the DOM. Both are inline styles, which
// `style-src 'self'` refuses. Constructed style sheets and the CSSOM are not inline: the two small detours below lead there.

/** Style elements made by script become constructed style sheets. */
function detourStyleElements() {
  const make = document.createElement.bind(document);
  document.createElement = /** @type {any} */ ((/** @type {string} */ name, /** @type {any} */ options) => {
    if (String(name).toLowerCase() !== "style") return make(name, options);
    const stand = make("template");
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    Object.defineProperty(stand, "textContent", { configurable: true, get: () => "", set: text => sheet.replaceSync(text) });
    stand.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter(other => other !== sheet);
      Element.prototype.remove.call(stand);
    };
    return stand;
  });
}

/** Style attributes set by script go through the CSSOM. */
function detourStyleAttributes() {
  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (/** @type {string} */ name, /** @type {string} */ value) {
    if (name === "style" && "style" in this) /** @type {HTMLElement} */ (this).style.cssText = value;
    else set.call(this, name, value);
  };
}

/** @param {string} path */
function script(path) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = `/assets/xterm/${path}`;
    element.async = false;
    element.onload = () => resolve(undefined);
    element.onerror = () => reject(new Error(`${path} could not be loaded`));
    document.head.append(element);
  });
}

/** @type {Promise<any> | null} */
let loading = null;

/** @returns {Promise<{Terminal: any, FitAddon: any, SearchAddon: any, WebLinksAddon: any, Unicode11Addon: any, WebglAddon: any}>} */
export function loadXterm() {
  loading ??= (async () => {
    detourStyleElements();
    detourStyleAttributes();
    await Promise.all([
      script("xterm.js"), script("addons/fit/xterm-addon-fit.js"), script("addons/search/xterm-addon-search.js"),
      script("addons/webLinks/xterm-addon-web-links.js"), script("addons/unicode11/xterm-addon-unicode11.js"), script("addons/webgl/xterm-addon-webgl.js"),
    ]);
    const all = /** @type {any} */ (globalThis);
    return {
      Terminal: all.Terminal, FitAddon: all.FitAddon.FitAddon, SearchAddon: all.SearchAddon.SearchAddon,
      WebLinksAddon: all.WebLinksAddon.WebLinksAddon, Unicode11Addon: all.Unicode11Addon.Unicode11Addon, WebglAddon: all.WebglAddon.WebglAddon,
    };
  })();
  loading.catch(() => { loading = null; });
  return loading;
}
