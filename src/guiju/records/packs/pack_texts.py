"""The page that lies in every pack and says what it is."""

from typing import Final

README: Final = """\
这是 guiju 记录包。 This is a pack of guiju records.

核对 / To check it
  guiju verify 本文件.zip --public-key site.pub
  python3 verify.py 本文件.zip --public-key site.pub        （只需 Python 3.9+；verify.py 请从提供者以外的渠道取得，勿信包内的一份）
  guiju verify PACK.zip --public-key site.pub
  python3 verify.py PACK.zip --public-key site.pub           (Python 3.9+ is all it needs; take verify.py from elsewhere,
                                                              for the copy in a pack could have been changed with it)
site.pub 是提供者公布的公钥，应从记录包以外的渠道取得。
site.pub is the provider's public key; get it by another way than the pack.

内容 / What is inside
  manifest.json    选择了什么、数量、每个成员的哈希    what was selected, counts, the hash of each member
  records.jsonl    记录，每行一条                       the records, one in each line
  tree.jsonl       从记录算到树根所缺的哈希             the hashes that lead from the records to the root of the log
  checkpoint       签名检查点：记录总数与树根           the signed checkpoint: number of records and root
  keys.json        公钥及其有效区间                     the public keys with their spans
  anchors.jsonl    更早的检查点、时间戳、增长证明       earlier checkpoints, time stamps, proofs that the log has grown from them
  tsa.pem          时间戳机构的根证书（如有）           root certificate of the time-stamp authority, if there is one
  contents.jsonl   应要求打开的内容（如有）             content that was opened on request, if any
  verify.py        独立核对程序（如有）                 the check that runs alone, if enclosed

整个文件由 zip 注释中的签名封存：改动任何一位都会被发现。把成员解压后，manifest.json 中的哈希仍可逐个核对。
The whole file is sealed by the signature in the comment of the zip: any changed bit is found. Unpacked, each member can still
be compared with its hash in manifest.json.

记录的 content_hash 是密文的 SHA-256；没有申请打开的内容不在包内。
content_hash of a record is the SHA-256 of its sealed content; content that nobody asked to open is not enclosed.
"""
