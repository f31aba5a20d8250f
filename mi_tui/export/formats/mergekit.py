"""The recipe as a mergekit configuration."""

from mi_tui.export.format import FORMATS, Subject, TextFormat


class MergekitFormat(TextFormat):
    """A configuration with which mergekit writes the same model."""

    name = "mergekit"
    title = "mergekit YAML"
    about = "a mergekit configuration for the same model"
    file_name = "mergekit.yaml"
    order = 40
    of_weights = True

    def text(self, subject: Subject) -> str:
        """The configuration, in the dtype that our merge writes."""
        from mi_tui.export.mergekit_config import mergekit_yaml

        return mergekit_yaml(subject.answer.recipe, subject.view.preset.pair)


FORMATS.register(MergekitFormat())
