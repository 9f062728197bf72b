"""What a reader gives to `guiju verify` and is not what it should be."""

from guiju.core.errors import Text, define

VERIFY_FILE = define(
    "VERIFY-FILE",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "{path} 不是记录包，也不是证明或删除证书。",
        "没有核对任何内容，文件未被改动。",
        "请给出 guiju records pack、prove 或 erase 写出的文件；不带文件则核对整个账本。",
    ),
    en=Text(
        "{path} is no pack, no proof and no certificate of erasure.",
        "Nothing was checked; the file is unchanged.",
        "Give a file that guiju records pack, prove or erase wrote; without a file the whole ledger is checked.",
    ),
)
VERIFY_KEY = define(
    "VERIFY-KEY",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "{path} 不是公钥文件。",
        "没有核对任何内容。",
        "请给出提供者的 site.pub（32 字节），或含 guiju records site-keys 中一行公钥的文件。",
    ),
    en=Text(
        "{path} is no file of a public key.",
        "Nothing was checked.",
        "Give the provider's site.pub (32 bytes), or a file with one line of guiju records site-keys.",
    ),
)
