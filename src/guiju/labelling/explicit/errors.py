"""What can go wrong when a file is to carry words or a rhythm: nothing is returned then, and the original is unchanged."""

from typing import Final

from guiju.core.errors import ErrorCode, Text, define

_KEPT_ZH: Final = "文件未改动，也未送出。"
_KEPT_EN: Final = "The file is unchanged and was not delivered."


def _define(code: str, zh: str, en: str, todo_zh: str, todo_en: str, status: int = 502) -> ErrorCode:
    return define(code, status=status, kind="server_error", zh=Text(zh, _KEPT_ZH, todo_zh), en=Text(en, _KEPT_EN, todo_en))


LABEL_WORDING = _define(
    "LABEL-WORDING", "“{text}”不是标识：须含“人工智能”或“AI”，并含“生成”或“合成”。", "'{text}' is no label: it must hold 人工智能 or AI, and 生成 or 合成.",
    "请改正 service.label.style.text。", "Correct service.label.style.text.", 500,
)  # fmt: skip
LABEL_MEDIUM = _define(
    "LABEL-MEDIUM", "这种文件（{form}）不能加显式标识：{reason_zh}。", "A file of this form ({form}) cannot carry an explicit label: {reason}.",
    "请让模型给出 docs/explicit-labels.md 所列的格式。", "Let the model give one of the forms in docs/explicit-labels.md.",
)  # fmt: skip
LABEL_UNDECODABLE = _define(
    "LABEL-UNDECODABLE", "{form} 文件无法解码，不能加显式标识：{reason}。", "The {form} file cannot be decoded, so no explicit label can be put in: {reason}.",
    "请从生成方重新取得该文件。", "Get the file again from where it was made.",
)  # fmt: skip
LABEL_TOO_LARGE = _define(
    "LABEL-TOO-LARGE", "{form} 文件有 {found} {unit_zh}，超过 {most}，不予解码。", "The {form} file has {found} {unit}, more than the {most} that are decoded.",
    "请让模型给出较小的文件。", "Let the model give a smaller file.",
)  # fmt: skip
LABEL_TOO_SMALL = _define(
    "LABEL-TOO-SMALL", "{width}×{height} 像素的画面放不下字高 {glyph_px} 像素的标识“{text}”。", "A picture of {width}×{height} pixels has no room for the label '{text}' with glyphs of {glyph_px} pixels.",
    "请让模型给出较大的画面，或在设置中把标识文字改短。", "Let the model give a larger picture, or make the words of the label shorter in the settings.",
)  # fmt: skip
LABEL_FONT = _define(
    "LABEL-FONT", "没有含“{missing}”的字体：{reason_zh}。", "There is no font with the glyphs of '{missing}': {reason}.",
    "请安装中文字体（如 Debian、Ubuntu 的 fonts-noto-cjk），或在 service.label.style.font_file 中写明字体文件。",
    "Install a Chinese font (on Debian and Ubuntu: fonts-noto-cjk), or name a font file in service.label.style.font_file.", 500,
)  # fmt: skip
LABEL_LIBRARY = _define(
    "LABEL-LIBRARY", "给 {form} 文件加显式标识需要 {library}，但未安装。", "Explicit labels in {form} files need {library}, which is not installed.",
    "请安装 guiju[{extra}] 后重启。", "Install guiju[{extra}] and restart.", 500,
)  # fmt: skip
LABEL_PROMPT = _define(
    "LABEL-PROMPT", "语音提示文件 {file} 不能使用：{reason_zh}。", "The voice prompt {file} cannot be used: {reason}.",
    "请在 service.label.style.prompt_file 中写明 1 至 30 秒的录音，或留空使用节奏标识。",
    "Name a recording of 1 to 30 seconds in service.label.style.prompt_file, or leave it empty for the rhythm.", 500,
)  # fmt: skip
LABEL_NOT_SEEN = _define(
    "LABEL-NOT-SEEN", "加入 {form} 文件的显式标识在读回时不成立：{reason_zh}。", "The explicit label that was put into the {form} file does not hold when it is read back: {reason}.",
    "请将该文件与本错误一并报告给 guiju 的维护者。", "Report this error to guiju's maintainers together with the file.", 500,
)  # fmt: skip
