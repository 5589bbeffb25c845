"""Names, addresses and phone numbers of other countries, in sentences of their languages."""

import re
from collections.abc import Iterator, Sequence

from faker import Faker

from training.pii_model.examples import AnnotatedText, TextBuilder

_SEED = 20_261_127
_OF_EACH = 25
_SENTENCES = {
    "en_GB": "Good morning, my name is {}. I live at {}. You can reach me on {}.",
    "de_DE": "Guten Tag, mein Name ist {}. Ich wohne in {}. Sie erreichen mich unter {}.",
    "fr_FR": "Bonjour, je m'appelle {}. J'habite au {}. Vous pouvez me joindre au {}.",
    "es_ES": "Buenos días, me llamo {}. Vivo en {}. Puede llamarme al {}.",
    "it_IT": "Buongiorno, mi chiamo {}. Abito in {}. Può chiamarmi al {}.",
    "nl_NL": "Goedemorgen, mijn naam is {}. Ik woon op {}. U kunt mij bereiken op {}.",
    "pt_PT": "Bom dia, o meu nome é {}. Moro na {}. Pode ligar-me para {}.",
    "pl_PL": "Dzień dobry, nazywam się {}. Mieszkam pod adresem {}. Proszę dzwonić pod {}.",
    "sv_SE": "Hej, jag heter {}. Jag bor på {}. Du når mig på {}.",
    "el_GR": "Καλημέρα, λέγομαι {}. Μένω στη διεύθυνση {}. Τηλέφωνο: {}.",
    "ru_RU": "Здравствуйте, меня зовут {}. Я живу по адресу {}. Телефон: {}.",
    "ja_JP": "私の名前は{}です。住所は{}です。電話番号は{}です。",
}
_KINDS = ("PERSON", "LOCATION", "PHONE_NUMBER")


def languages() -> Iterator[tuple[str, Sequence[AnnotatedText]]]:
    """For each language its texts."""
    for locale, sentence in _SENTENCES.items():
        faker = Faker(locale, use_weighting=False)
        faker.seed_instance(_SEED)
        yield locale, [_filled(sentence, faker) for _ in range(_OF_EACH)]


def _filled(sentence: str, faker: Faker) -> AnnotatedText:
    values = (
        f"{faker.first_name()} {faker.last_name()}",
        re.sub(r",?\s*\n", ", ", faker.address()),
        faker.phone_number(),
    )
    pieces = sentence.split("{}")
    builder = TextBuilder()
    for piece, value, kind in zip(pieces, values, _KINDS, strict=False):
        builder.add(piece)
        builder.add(value, kind)
    builder.add(pieces[-1])
    return builder.build()
