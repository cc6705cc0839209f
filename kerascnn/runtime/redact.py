"""What must not be written down: passwords and tokens of the environment and of addresses."""

import os
import re
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

HIDDEN = "***"

_NAMES = re.compile(r"TOKEN|PASSW|SECRET|CREDENTIAL|API_?KEY|ACCESS_?KEY|_URI$|_URL$")
_ADDRESSES = re.compile(r"_URI$|_URL$")
_COMMANDS = {"mlflow", "kerascnn"}  # a password that equals one hides nothing, and garbles remedies
_SHORTEST = 6  # characters: to replace shorter ones would garble innocent text


def shown_uri(uri: str) -> str:
    """An address without the user, the password and the query that may stand in it."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri  # the path of a file
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))


def scrubbed(text: str) -> str:
    """A text in which `***` stands for every secret of this process's environment."""
    for secret in _secrets():
        pattern = re.escape(secret)
        if secret.isalpha():  # a mere word, which may be part of the name of a library
            pattern = rf"(?<![\w-]){pattern}(?![\w-])"
        text = re.sub(pattern, HIDDEN, text)
    return text


def _secrets() -> list[str]:
    """The longest first, for one may be a part of another."""
    values = [(name, value) for name, value in os.environ.items() if _NAMES.search(name)]
    found = {part for named in values for part in _parts(*named) if len(part) >= _SHORTEST}
    return sorted(found - _COMMANDS, key=len, reverse=True)


def _parts(name: str, value: str) -> set[str]:
    """What is secret in a variable: of an address its password and query, else all of it."""
    if value.startswith("/"):
        return set()  # the path of a file that holds the secret
    if "://" not in value:
        if not _ADDRESSES.search(name):
            return {value}
        value = f"//{value}"
    parts = urlsplit(value)
    if not parts.netloc:
        return set()  # the path of a database
    login = parts.netloc.rpartition("@")[0]
    password = login.partition(":")[2]
    query = [value for _, value in parse_qsl(parts.query)]
    return {login, password, unquote(password), parts.query, *query}
