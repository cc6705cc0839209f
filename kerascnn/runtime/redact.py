"""Secrets: passwords and tokens in the environment and in addresses are never shown or stored."""

import os
import re
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

HIDDEN = "***"

_NAMES = re.compile(r"TOKEN|PASSW|SECRET|CREDENTIAL|API_?KEY|ACCESS_?KEY|_URI$|_URL$")
_ADDRESSES = re.compile(r"_URI$|_URL$")
_COMMANDS = {"mlflow", "kerascnn"}  # hiding a password that equals one would only garble messages
_SHORTEST = 6  # characters: hiding shorter ones would garble other text


def shown_uri(uri: str) -> str:
    """An address without its user, password and query."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri  # the path of a file
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))


def scrubbed(text: str) -> str:
    """The text, with `***` in place of every secret in this process's environment."""
    for secret in _secrets():
        pattern = re.escape(secret)
        if secret.isalpha():  # a plain word, which may be part of a library's name
            pattern = rf"(?<![\w-]){pattern}(?![\w-])"
        text = re.sub(pattern, HIDDEN, text)
    return text


def _secrets() -> list[str]:
    """The longest first, because one may be part of another."""
    values = [(name, value) for name, value in os.environ.items() if _NAMES.search(name)]
    found = {part for named in values for part in _parts(*named) if len(part) >= _SHORTEST}
    return sorted(found - _COMMANDS, key=len, reverse=True)


def _parts(name: str, value: str) -> set[str]:
    """The secrets in a variable: the password and query of an address, else the whole value."""
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
