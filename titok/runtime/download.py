"""Files from the Hugging Face Hub (kept in its usual cache) or an address. The only place that uses the network."""

from __future__ import annotations

from pathlib import Path

from titok.errors import TitokError


class DownloadError(TitokError):
    """A file of the Hub cannot be had; the message says which one and what to do."""


def download(repository: str, file: str, directory: Path | None = None) -> Path | None:
    """The local path of ``file`` in ``repository``; None when the repository has no such file.

    ``directory`` gets a copy of its own; otherwise the file stays in the cache (``HF_HOME``), where other tools find
    it too. Files already there are not fetched again, and work without a network.

    Raises:
        DownloadError: huggingface_hub is not installed, the network or the repository cannot be reached.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError
    except ImportError as error:
        raise DownloadError(
            f"{repository} is on the Hugging Face Hub, and huggingface_hub is not installed; "
            f"run `pip install huggingface_hub`, or download the files yourself and name their folder"
        ) from error
    try:
        return Path(hf_hub_download(repository, file, local_dir=directory))
    except RepositoryNotFoundError as error:
        raise DownloadError(f"the Hugging Face Hub has no repository {repository!r}; check its name") from error
    except LocalEntryNotFoundError as error:  # an EntryNotFoundError, too: offline and not in the cache
        raise DownloadError(_unreachable(repository, file, error)) from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # the errors of the HTTP library beneath have no common name
        raise DownloadError(_unreachable(repository, file, error)) from error


def download_url(url: str, target: Path, sha256_prefix: str | None = None) -> None:
    """Writes what lies at ``url`` to ``target``, whole or not at all, with progress.

    Raises:
        DownloadError: the address cannot be reached, or the SHA-256 does not begin with ``sha256_prefix``.
    """
    from torch.hub import download_url_to_file

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        download_url_to_file(url, str(target), hash_prefix=sha256_prefix)
    except (OSError, RuntimeError) as error:
        raise DownloadError(
            f"{url} cannot be had ({str(error).splitlines()[0]}); connect to the network, or copy the file to {target}"
        ) from error


def _unreachable(repository: str, file: str, error: Exception) -> str:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"{file} of {repository} cannot be downloaded ({reason}); connect to the network, or copy the repository's "
        f"files to a folder and name that folder"
    )
