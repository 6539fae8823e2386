"""The conversations that last: one SQLite file, which the terminal and the page share.

`Store` is the file, `Chats` what one person has in it, `Kept` one of the conversations at hand.
"""

from chatapp.store.chats import ChatLine, Chats, Hit
from chatapp.store.file import Store, open_existing_store, open_store, store_path
from chatapp.store.kept import Kept, Unkept

__all__ = [
    "ChatLine",
    "Chats",
    "Hit",
    "Kept",
    "Store",
    "Unkept",
    "open_existing_store",
    "open_store",
    "store_path",
]
