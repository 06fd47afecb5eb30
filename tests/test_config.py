import pytest
import yaml

from trtkit import config, models
from trtkit.errors import Mistake
from trtkit.models.spec import NetworkSpec


@pytest.fixture
def raw():
    return yaml.safe_load(config.Path(config.__file__).with_name("engines.yaml").read_text())


@pytest.fixture
def load(tmp_path, raw):
    def load_changed(change):
        change(raw)
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(raw))
        return config.load(path)

    return load_changed


def test_every_gpu_of_the_design_is_known_with_its_capability():
    gpus = config.load().gpus
    assert {name: gpu.compute_capability for name, gpu in gpus.items()} == {
        "t4": "7.5",
        "v100": "7.0",
        "a100": "8.0",
        "a10": "8.6",
        "rtx3090": "8.6",
        "l4": "8.9",
        "rtx4090": "8.9",
        "h100": "9.0",
        "h200": "9.0",
        "rtx5090": "12.0",
    }


def test_the_file_at_the_root_is_the_one_the_package_carries():
    package = config.Path(config.__file__).with_name("engines.yaml")
    assert package.resolve() == package.parent.parent / "engines.yaml"


def test_every_network_of_every_model_has_profiles_that_its_spec_admits():
    settings = config.load()
    for name in models.NAMES:
        for spec in models.get(name).networks:
            for profile in settings.network(name, spec.name).profiles:
                _fits(spec, profile)


def _fits(spec: NetworkSpec, profile):
    assert set(profile) == {tensor.name for tensor in spec.inputs}
    for tensor in spec.inputs:
        for shape in (profile[tensor.name].min, profile[tensor.name].opt, profile[tensor.name].max):
            assert len(shape) == len(tensor.shape)
            for size, axis in zip(shape, tensor.shape, strict=True):
                assert isinstance(axis, str) or size == axis
                if axis in ("H", "W"):
                    assert size >= spec.smallest
                    assert size % spec.multiple_of == 0


def test_a_file_in_the_working_directory_overrides_the_package(in_empty_folder, raw):
    raw["gpus"] = {"mine": raw["gpus"]["a10"]}
    (in_empty_folder / "engines.yaml").write_text(yaml.safe_dump(raw))
    assert list(config.load().gpus) == ["mine"]


def test_a_wrong_key_is_named_with_its_path(load):
    with pytest.raises(Mistake, match=r"mine\.yaml: key 'gpus\.t4\.capability' is not known"):
        load(lambda raw: raw["gpus"]["t4"].update(capability="7.5"))


def test_a_missing_key_is_named_with_its_path(load):
    with pytest.raises(Mistake, match=r"key 'gpus\.t4\.title' is missing"):
        load(lambda raw: raw["gpus"]["t4"].pop("title"))


def test_min_above_opt_is_named_with_its_path_and_axis(load):
    def change(raw):
        raw["models"]["cv_unet"]["networks"]["matting"]["profiles"][1]["image"]["min"] = [1, 2048, 512, 3]

    with pytest.raises(
        Mistake,
        match=r"key 'models\.cv_unet\.networks\.matting\.profiles\.1\.image': axis 1 must have min <= opt <= max, "
        r"found 2048, 1024, 1024",
    ):
        load(change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: raw["gpus"]["t4"].update(compute_capability=7.5), r"'gpus\.t4\.compute_capability': .*found 7\.5"),
        (lambda raw: raw["gpus"]["t4"].update(served_by=["tensorflow"]), r"'gpus\.t4\.served_by\.0': .*tensorflow"),
        (lambda raw: raw.update(schema=2), r"'schema': .*found 2"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found(load, change, sentence):
    with pytest.raises(Mistake, match=sentence):
        load(change)


def test_a_file_that_is_not_yaml_is_one_sentence(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("gpus: [")
    with pytest.raises(Mistake, match=r"bad\.yaml is not YAML"):
        config.load(path)


def test_a_config_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(Mistake, match=r"--config .*gone\.yaml cannot be read"):
        config.load(tmp_path / "gone.yaml")


def test_an_unknown_gpu_lists_the_known_ones():
    with pytest.raises(Mistake, match=r"--gpu a11 is not known; known GPUs: t4, v100, .*sm86"):
        config.load().gpu("a11")


def test_a_capability_stands_for_any_card_that_has_it():
    assert config.load().gpu("sm86").compute_capability == "8.6"
