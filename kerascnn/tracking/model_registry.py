"""MLflow's model registry: `models:/NAME@ALIAS` names the model of a run."""

import re
from dataclasses import dataclass
from typing import Any

from kerascnn.errors import InputError
from kerascnn.runtime.address import tracking_uri
from kerascnn.runtime.commands import command
from kerascnn.tracking.store import TAG, find_tagged, open_store

PREFIX = "models:/"


@dataclass(frozen=True)
class RegisteredModel:
    """A model in the registry."""

    name: str
    version: int  # counts from 1 for each name
    alias: str | None
    run_id: str  # the run that the model comes from
    uri: str  # for `predict`, `evaluate` and MLflow


def register_run(run_id: str, name: str, alias: str | None = None) -> RegisteredModel:
    """Registers a run's model; a second time under the same name it keeps its version.

    The alias, such as "champion", moves here from the version that has it.

    Raises:
        InputError: The store has no model of this run, or rejects the name.
    """
    with open_store(tracking_uri()) as client:
        run = find_tagged(client, run_id)
        if run is None or not run.outputs.model_outputs:
            raise InputError(
                f"the store has no model of run {run_id[:8]}; `{command('runs', 'send')}` uploads "
                "what could not be uploaded when the run ended."
            )
        try:
            version = _version(client, name, run)
            if alias:
                client.set_registered_model_alias(name, alias, version)
        except Exception as error:
            raise _refused(error) from error
    uri = f"{PREFIX}{name}@{alias}" if alias else f"{PREFIX}{name}/{version}"
    return RegisteredModel(name, int(version), alias, run_id, uri)


def _version(client: Any, name: str, run: Any) -> str:
    from_run = f"name = '{name}' and run_id = '{run.info.run_id}'"
    if "'" not in name and (found := client.search_model_versions(from_run)):
        return found[0].version
    try:
        client.create_registered_model(name)
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
            raise
    model_id = run.outputs.model_outputs[0].model_id
    # not models:/ID, which would be resolved in the environment's store
    source = client.get_logged_model(model_id).artifact_location
    made = client.create_model_version(name, source, run_id=run.info.run_id, model_id=model_id)
    return made.version


def registered_run(reference: str) -> str:
    """The id of the run behind `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        InputError: It is neither of these, or not in the registry.
    """
    parts = re.fullmatch(rf"{PREFIX}([^/@]+)(?:@([^/@]+)|/(\d+))", reference)
    if parts is None:
        raise InputError(f'"{reference}": expected models:/NAME@ALIAS or models:/NAME/VERSION.')
    name, alias, version = parts.groups()
    with open_store(tracking_uri()) as client:
        get = client.get_model_version_by_alias if alias else client.get_model_version
        try:
            found = get(name, alias or version)
        except Exception as error:
            raise _refused(error) from error
        if not found.run_id:
            raise InputError(f"{reference} was not registered by `{command('register', 'RUN')}`.")
        return client.get_run(found.run_id).data.tags.get(TAG, found.run_id)


def _refused(error: Exception) -> Exception:
    """The error for the user if the registry rejects a name; any other error is the store's."""
    codes = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    if getattr(error, "error_code", None) not in codes:
        return error
    text = " ".join(str(error).removeprefix(f"{error.error_code}: ").split())  # type: ignore[attr-defined]
    register = command("register", "RUN", "--alias", "NAME")
    return InputError(f"MLflow's registry: {text} `{register}` registers a model.")
