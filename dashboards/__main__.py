"""``python -m dashboards``: writes the files of the dashboards."""

from dashboards.files import FILES, FOLDER, text_of

FOLDER.mkdir(parents=True, exist_ok=True)
for name, board in FILES.items():
    (FOLDER / name).write_text(text_of(board))
