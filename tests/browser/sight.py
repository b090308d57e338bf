"""What an eye needs, asked of a page in a browser: contrast as computed, what overflows, what the keyboard reaches."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

#: What WCAG 2 asks of text (AA).
READABLE = 4.5
#: Of every text that is shown: its colour on what lies beneath it, with all that is translucent in between.
_TEXTS = """() => {
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g);
    if (!found || text === 'none') return null;
    const [red, green, blue, alpha = 1] = found.map(Number);
    return [red, green, blue, alpha];
  };
  const over = (top, below) => top.slice(0, 3).map((value, i) => value * top[3] + below[i] * (1 - top[3])).concat(1);
  const paint = (element) => {
    const style = getComputedStyle(element);
    return parse(element instanceof SVGElement && element.tagName !== 'svg' ? style.fill : style.backgroundColor);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('title, desc, .unseen, .skip')) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getClientRects()[0];
    if (!box || !box.width || !box.height) continue;
    const stack = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    if (!stack.includes(element) && element.closest('.scroll, pre, thead')) continue;  // scrolled or folded away
    const strokes = ['polyline', 'path', 'circle'];
    const beneath = stack.filter((one) => !one.closest('text') && !strokes.includes(one.tagName));
    const grounds = beneath.map(paint).filter((colour) => colour && colour[3] > 0);
    const whole = grounds.findIndex((colour) => colour[3] === 1);
    const canvas = parse(getComputedStyle(document.body).backgroundColor);
    const layers = whole < 0 ? [...grounds, canvas] : grounds.slice(0, whole + 1);
    const ground = layers.reduceRight((below, top) => over(top, below));
    const style = getComputedStyle(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), ground);
    found.push({text: walker.currentNode.data.trim().slice(0, 40), ink, ground, hit: stack.includes(element)});
  }
  return found;
}"""

_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((one) => !one.closest('.scroll, pre, .skip, .unseen, thead'))
  .filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
  })
  .map((one) => `${one.tagName} ${one.className.baseVal ?? one.className}`)"""

#: Pairs of texts of one picture that lie on each other.
_TOUCHING = """(svg) => {
  const texts = [...svg.querySelectorAll('text')].map((one) => [one.textContent, one.getBoundingClientRect()]);
  const apart = (a, b) => a.right <= b.left + 1 || a.bottom <= b.top + 3;
  const touch = (a, b) => !(apart(a, b) || apart(b, a));
  return texts.flatMap(([name, box], number) => texts.slice(number + 1)
    .filter(([_, other]) => touch(box, other)).map(([other]) => `${name} on ${other}`));
}"""

_FOCUSABLE = "a[href], summary, [tabindex='0'], button, input"
_NAME = "(one) => `${one.tagName} ${(one.textContent || '').trim().slice(0, 40)}`"


def texts(page: Page) -> list[dict[str, Any]]:
    """Every text with its ink and its ground; the whole page is laid out at once, so that nothing is out of sight."""
    height = page.evaluate("document.documentElement.scrollHeight")
    size = page.viewport_size
    assert size
    page.set_viewport_size({"width": size["width"], "height": height})
    found: list[dict[str, Any]] = page.evaluate(_TEXTS)
    page.set_viewport_size(size)
    return found


def unreadable(found: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Those texts whose contrast is less than WCAG asks for (AA), with theirs."""
    seen = ((one["text"], round(contrast(one["ink"], one["ground"]), 2)) for one in found)
    return [(text, ratio) for text, ratio in seen if ratio < READABLE]


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG's contrast ratio, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: list[float]) -> float:
    def linear(value: float) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def overflowing(page: Page) -> list[str]:
    """What stands beyond the window's edges, where it does not scroll by itself."""
    found: list[str] = page.evaluate(_WIDE)
    return found


def touching(page: Page) -> list[str]:
    """Words of pictures that lie on other words."""
    pictures = page.locator("figure svg").all()
    return [words for one in pictures if one.is_visible() for words in one.evaluate(_TOUCHING)]


def focusable(page: Page) -> list[str]:
    """What the keyboard should reach, in the order of the document."""
    script = f"""() => [...document.querySelectorAll("{_FOCUSABLE}")]
      .filter((one) => one.checkVisibility()).map({_NAME})"""
    found: list[str] = page.evaluate(script)
    return found


def walked(page: Page) -> list[tuple[str, bool]]:
    """What Tab reaches, one after another, and whether it is seen to have the focus."""
    found: list[tuple[str, bool]] = []
    script = f"""() => {{
      const one = document.activeElement;
      if (one === document.body) return null;
      const style = getComputedStyle(one), box = one.getBoundingClientRect();
      const inside = box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight;
      return [({_NAME})(one), inside && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
    }}"""
    while True:
        page.keyboard.press("Tab")
        reached = page.evaluate(script)
        if reached is None:
            return found
        found.append((reached[0], reached[1]))
        assert len(found) < 200
