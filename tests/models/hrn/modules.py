"""The networks at their official size, by the name of their statement."""

from trtkit.models.hrn.networks.deretouch import DeRetouchNet
from trtkit.models.hrn.networks.fan import FAN
from trtkit.models.hrn.networks.landmarks106 import Landmarks106
from trtkit.models.hrn.networks.pix2pix import ResidualGenerator
from trtkit.models.hrn.networks.recon import CoefficientNet
from trtkit.models.hrn.networks.retinaface import RetinaFace
from trtkit.models.hrn.networks.s3fd import S3FD

NETWORKS = {
    "net_recon": CoefficientNet,
    "mid_net": lambda: ResidualGenerator(6, 3),
    "high_net": lambda: ResidualGenerator(9, 1),
    "de_retouch": DeRetouchNet,
    "landmarks106": Landmarks106,
    "retinaface": RetinaFace,
    "s3fd": S3FD,
    "fan": FAN,
}
