# ruff: noqa: E501
"""The known files: what each must hash to, its size, and where the public may download it.

To add one, add its line, however long: that keeps a name, its hash and its address together.
An address that ends in `/` is a folder, and the file's own name is appended.
"""

from typing import NamedTuple


class File(NamedTuple):
    """A pinned file: SHA-256 in hexadecimal, size in bytes, addresses in the order of trial."""

    sha256: str
    bytes: int
    urls: tuple[str, ...]


MNIST = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
FASHION_MNIST = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)

GITHUB = "https://raw.githubusercontent.com/"

FILES = {
    "mnist/train-images-idx3-ubyte.gz": File("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422, MNIST),
    "mnist/train-labels-idx1-ubyte.gz": File("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881, MNIST),
    "mnist/t10k-images-idx3-ubyte.gz": File("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877, MNIST),
    "mnist/t10k-labels-idx1-ubyte.gz": File("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542, MNIST),
    "fashion_mnist/train-images-idx3-ubyte.gz": File("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26421880, FASHION_MNIST),
    "fashion_mnist/train-labels-idx1-ubyte.gz": File("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515, FASHION_MNIST),
    "fashion_mnist/t10k-images-idx3-ubyte.gz": File("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102, FASHION_MNIST),
    "fashion_mnist/t10k-labels-idx1-ubyte.gz": File("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148, FASHION_MNIST),
    "tinyshakespeare/input.txt": File("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", 1115394, (f"{GITHUB}karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",)),
    "irish_abc/irish.abc": File("df3782d5f7b5a2f4c66aa7c13f13008d5f48757b3f5f51620cd6c1ceb2c53023", 197618, (f"{GITHUB}MITDeepLearning/introtodeeplearning/e44754eac7a61d489fb07a68245bfbb290823228/mitdeeplearning/data/irish.abc",)),
}  # fmt: skip
