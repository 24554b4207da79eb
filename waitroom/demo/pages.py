"""The pages of the toy shop: self-contained HTML, no other request."""

from __future__ import annotations

from html import escape

PRODUCTS: tuple[tuple[str, str, int], ...] = (
    ("Zigzag blanket", "Woven in eleven colours. Two hundred were made, and there will be no more.", 89),
    ("Zigzag cup", "Four cups, no two with the same stripe.", 34),
    ("Zigzag scarf", "Long enough to go round twice.", 45),
    ("Zigzag bicycle", "Six gears, one basket, and paint that is seen from afar.", 399),
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title} – The Zigzag Shop</title>
<style>
:root {{ color-scheme: light dark; --ink: #23202b; --paper: #fdfaf4; --soft: #6d6577; --card: #fff; --line: #e6dfd2 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #f2eef7; --paper: #1a1720; --soft: #aaa1b8; --card: #242029; --line: #3a3441 }}
}}
* {{ box-sizing: border-box }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 1.05rem/1.55 system-ui, sans-serif }}
header {{ block-size: 4.5rem; background:
  repeating-linear-gradient(135deg, #d9472b 0 10px, #f2b33d 10px 20px, transparent 20px 40px),
  repeating-linear-gradient(225deg, #2b7a78 0 10px, #34294f 10px 20px, #e98a6b 20px 40px) }}
main {{ max-inline-size: 34rem; margin: -1.5rem auto 3rem; padding: 1.75rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 14px }}
h1 {{ margin: 0 0 .25rem; font-size: 1.7rem; line-height: 1.2 }}
p {{ margin: .5rem 0 }}
.price {{ font-size: 1.35rem; font-weight: 600 }}
nav {{ display: flex; flex-wrap: wrap; gap: .4rem 1.1rem; margin-block: 1.5rem 0; padding-block-start: 1rem;
  border-block-start: 1px solid var(--line) }}
a {{ color: inherit }}
.soft {{ color: var(--soft) }}
form {{ display: inline-block; margin-inline-end: .5rem }}
button {{ margin-block: .5rem; padding: .6rem 1.3rem; font: inherit; font-weight: 600; color: #fff; background: #b5371e;
  border: 0; border-radius: 999px; cursor: pointer }}
button.quiet {{ color: inherit; background: none; border: 1px solid var(--line) }}
</style>
</head>
<body>
<header></header>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def product(number: int, cart: int) -> bytes:
    """Return the page of a product; any number has one."""
    name, words, price = PRODUCTS[number % len(PRODUCTS)]
    others = "".join(
        f'<a href="/product?n={other}">{escape(title)}</a>'
        for other, (title, _, _) in enumerate(PRODUCTS)
        if other != number % len(PRODUCTS)
    )
    basket = '<form method="get" action="/cart"><button class="quiet">See the cart</button></form>' if cart else ""
    return _page(
        name,
        f'<p>{escape(words)}</p><p class="price">€ {price}</p>'
        f'<form method="post" action="/cart"><button>Put it in the cart</button></form>{basket}<nav>{others}</nav>',
    )


def cart(things: int) -> bytes:
    """Return what is in the cart, and the way to order it."""
    if not things:
        return _page("Your cart is empty", '<p><a href="/">Back to the shop</a></p>')
    return _page(
        "Your cart",
        f"<p>{things} {'thing' if things == 1 else 'things'} in it.</p>"
        '<form method="post" action="/order"><button>Order now</button></form>'
        '<form method="post" action="/leave"><button class="quiet">Leave without buying</button></form>'
        '<nav><a href="/">Go on shopping</a></nav>',
    )


def ordered(number: int) -> bytes:
    """Return the confirmation of an order."""
    return _page("Thank you", f'<p>Your order {number} is confirmed.</p><p><a href="/">Back to the shop</a></p>')


def goodbye() -> bytes:
    """Return the page for somebody who left."""
    return _page("Goodbye", '<p>Come again.</p><p><a href="/">Back to the shop</a></p>')


def overloaded(*, order_lost: bool) -> bytes:
    """Return what a shop says that can bear no more."""
    words = "Your order could not be completed." if order_lost else "Too many people are here at once."
    return _page("The shop is overloaded", f'<p>{words}</p><p class="soft">Please try again.</p>')


def missing() -> bytes:
    """Return the page for an address that leads nowhere."""
    return _page("There is no such page", '<p><a href="/">To the shop</a></p>')


def _page(title: str, content: str) -> bytes:
    return _PAGE.format(title=escape(title), content=content).encode()
