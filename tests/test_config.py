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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 2024-13-45", "f.yaml has '2024-13-45' in line 1, which is no timestamp; put it in quotes if it is text"),
        ("schema: 1\nb: 0x_", "f.yaml has '0x_' in line 2, which is no int; put it in quotes if it is text"),
        ("a: !!bool perhaps", "f.yaml has 'perhaps' in line 1, which is no bool; put it in quotes if it is text"),
        ("[" * 5000, "f.yaml is nested too deeply to be read"),
        ("- " * 5000, "f.yaml is nested too deeply to be read"),
        ("", "f.yaml is empty; it needs the keys schema, gpus and models, as trtkit's own engines.yaml has them"),
        ("# only this\n", "f.yaml is empty; it needs the keys schema, gpus and models"),
        ("all work " * 5000, "f.yaml holds text or a list without keys; it needs the keys schema, gpus and models, as"),
        (
            "- a\n- b",
            "f.yaml holds text or a list without keys; it needs the keys schema, gpus and models, as trtkit's",
        ),
        ("schema: 1\ngpus: " + "x" * 9000, "f.yaml: key 'gpus' has to have keys, found 'xxx"),
        ("schema: 1\ngpus:\nmodels: {}", "f.yaml: key 'gpus' is empty, and has to have keys"),
        ("schema: 1\nschema: 1", "f.yaml has the key 'schema' twice, in lines 1 and 2; leave one of them"),
        (
            "models:\n  a:\n    b: 1\n  c: {d: 1}\n  a: 2\n",
            "f.yaml has the key 'models.a' twice, in lines 2 and 5; leave one of them",
        ),
        ("a: [{b: 1, b: 1}]", "f.yaml has the key 'a.0.b' twice, in lines 1 and 1; leave one of them"),
    ],
)
def test_what_is_no_configuration_is_one_short_sentence(trtkit, in_empty_folder, text, sentence):
    config.Path("f.yaml").write_text(text)
    answer = trtkit("models", "--config", "f.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"trtkit: {sentence}")
    assert len(answer.err) < 300
    assert answer.err.count("\n") == 1


def test_a_misspelt_key_is_told_as_itself_not_as_what_is_missing(load):
    def change(raw):
        network = raw["models"]["cv_unet"]["networks"]["matting"]
        network["precisons"] = network.pop("precisions")

    with pytest.raises(Mistake, match=r"key 'models\.cv_unet\.networks\.matting\.precisons' is not known$"):
        load(change)


def test_aliases_and_merged_keys_are_no_duplicates(in_empty_folder, raw):
    text = yaml.safe_dump(raw)
    ours = text.replace(
        "gpus:\n", "gpus:\n  more: &more {title: A, compute_capability: '8.6', served_by: [tensorrt]}\n", 1
    )
    ours = ours.replace("models:\n", "  again: {<<: *more, title: B}\n  same: *more\nmodels:\n", 1)
    config.Path("f.yaml").write_text(ours.replace("served_by: [tensorrt]}", "memory_gib: 1, served_by: [tensorrt]}", 1))
    gpus = config.load(config.Path("f.yaml")).gpus
    assert (gpus["again"].title, gpus["same"].title) == ("B", "A")


def test_a_block_that_is_missing_is_told_of_the_file_that_was_named(load, raw):
    del raw["models"]["cv_unet"]["networks"]["matting"]
    raw["models"]["cv_unet"]["networks"]["other"] = raw["models"]["dct_net"]["networks"]["head"]
    settings = load(lambda raw: None)
    with pytest.raises(Mistake, match=r"^/.*/mine\.yaml has no key models\.cv_unet\.networks\.matting; add precisions"):
        settings.network("cv_unet", "matting")
    changed = settings.model_copy(update={"gpus": {}})  # as an import of a graph adds its networks
    with pytest.raises(Mistake, match=r"mine\.yaml has no key models\.cv_unet\.networks\.matting"):
        changed.network("cv_unet", "matting")
    with pytest.raises(Mistake, match=r"^engines\.yaml has no key models\.nobody\.networks\.net; add"):
        config.load().network("nobody", "net")
