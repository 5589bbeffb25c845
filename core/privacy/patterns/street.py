"""The parts of postal addresses as regular expressions: streets, units, boxes and postcodes in many countries' forms.

Every repetition is bounded, and a word is never given back once it is taken, so that no text can hold a search up.
"""

from core.privacy.patterns.gazetteer import MONTHS, STATES

WORD = r"\p{Lu}(?:[\p{L}\p{M}]{0,2}\.(?=[ \p{Lu}])|[\p{L}\p{M}'’\-]{0,30}+)"
_PARTICLE = r"(?:de|del|della|delle|dei|di|da|do|dos|das|la|le|les|los|las|of|the|van|von|der|den|am|an|y|na|nad|pod|u|a|e|t|des|du|zum|zur|ten|ter|op|het)"
NAME = rf"{WORD}(?: (?:{_PARTICLE} ){{0,2}}{WORD}){{0,4}}"
"""Capitalised words, with the small ones between them."""

HOUSE = r"\d{1,4}(?:[ ]?[A-Za-z]\b)?(?:[\-/]\d{1,4}[A-Za-z]?)?"
_BEFORE = r"(?:(?<![\w.,\-/])\d{1,6}[A-Za-z]?(?:[\-/]\d{1,4})?,? ){0,2}"

# Words that make a street by themselves, and those that do so only behind a number.
_STREET = r"Street|Avenue|Ave|Road|Rd|Lane|Boulevard|Blvd|Parkway|Pkwy|Highway|Hwy|Crescent|Terrace|Mews|Esplanade|Turnpike|Freeway|Expressway"
_STREET_AFTER_NUMBER = (
    r"St|Ln|Drive|Dr|Way|Court|Ct|Place|Pl|Square|Sq|Ter|Close|Cres|Circle|Cir|Trail|Trl|Alley|Row|Walk|Grove|Gardens|Gdns|Hill|Hills|"
    r"Point|Ridge|Flats?|Islands?|Heights|Manor|Park|Plaza|Loop|Path|Pike|Run|View|Vista|Villages?|Meadows?|Valley|Glen|Green|Bridge|"
    r"Creek|Fields?|Forest|Fork|Gateway|Harbors?|Haven|Hollow|Isle|Junction|Key|Knolls?|Lake|Landing|Locks?|Lodge|Mall|Mill|Mission|"
    r"Motorway|Mount|Mountain|Neck|Orchard|Oval|Overpass|Passage|Pass|Pine|Plains?|Port|Prairie|Radial|Ramp|Ranch|Rapid|Rest|River|Route|"
    r"Rue|Shoals?|Shores?|Skyway|Springs?|Spur|Squares|Station|Stravenue|Stream|Summit|Throughway|Trace|Track|Trafficway|Tunnel|"
    r"Underpass|Union|Unions|Viaduct|Ville|Well|Wells|Bypass|Causeway|Center|Centers|Cliff|Club|Common|Corner|Course|Courts|Cove|Crest|"
    r"Crossing|Dale|Dam|Divide|Estate|Estates|Extension|Fall|Falls|Ferry|Ford|Forge|Fort|Garden|Brook|Brooks|Burg|Bluff|Beach|Bend|Branch|Camp|Canyon|Cape"
)
ENGLISH = (
    rf"{_BEFORE}(?:{WORD} ){{1,4}}(?:{_STREET})\b\.?(?: {HOUSE}(?!\w))?"
    rf"|(?<![\w.,\-/])\d{{1,6}}[A-Za-z]?(?:[\-/]\d{{1,4}})?,? (?:\d{{1,5}} )?(?:(?:{WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}(?:{_STREET_AFTER_NUMBER})\b\.?"
    rf"|(?<![\w.,\-/])\d{{1,6}} (?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.? )?\d{{1,3}}(?:st|nd|rd|th) (?:{_STREET}|St|Dr)\b\.?"
)

_SMALL_WORDS = r"(?:the|a|an|this|that|these|my|your|our|his|her|their|down|along|off|on|up|of|in|into|to|from|at|and|by|for|with|other)\b"
SMALL_LETTERS = (
    rf"(?<![\w.,\-/])\d{{2,6}} (?:\d{{1,5}} )?(?:(?!{_SMALL_WORDS})[\p{{Ll}}\p{{M}}'’.\-]{{2,25}}+ ){{1,3}}"
    r"(?:street|avenue|ave|road|lane|boulevard|blvd|drive|court|square|terrace|crescent)\b"
)

_ROMANCE = (
    r"[Rr]ue|[Aa]venue|[Aa]v\.|Av|[Bb]oulevard|[Bb]d\.?|[Aa]llée|[Ii]mpasse|[Cc]hemin|[Qq]uai|[Pp]lace|[Rr]oute|[Vv]ia|[Vv]iale|[Pp]iazza|[Pp]iazzale|[Cc]orso|"
    r"[Ll]argo|[Vv]icolo|[Ss]trada|[Cc]alle|[Cc]/|[Aa]vda\.?|[Aa]venida|[Pp]aseo|[Pp]laza|[Cc]arrer|[Rr]onda|[Cc]amino|[Cc]arretera|[Rr]ua|[Rr]\.|[Tt]ravessa|"
    r"[Pp]raça|[Aa]lameda|[Ee]strada|[Cc]uesta|Cañada|Pasadizo|Pasaje|Glorieta|Callejón|Acceso|Rambla|Vial|Urbanización|Contrada|Stretto|Canale|Rotonda|Borgo|Incrocio|Salita|[Pp]lac|[Aa]leje|[Oo]siedle|[Uu]rb\.|[Uu]l\.|[Uu]lica|[Aa]l\.|[Aa]leja|[Oo]s\.|[Pp]l\.|[Uu]lice|[Nn]ám\.|[Nn]áměstí|[Tt]rg|[Ss]tr\.|[Bb]dul\.?|"
    r"Λεωφόρος|Λεωφ\.|Πλατεία|Οδός|Οδ\.|улица|ул\.|проспект|пр\.|пер\.|наб\.|вул\."
)
PREFIXED = rf"{_BEFORE}(?<!\w)(?:{_ROMANCE}) ?(?:(?:{_PARTICLE} |[dlDL]['’]){{0,2}}(?:{WORD}|\d{{1,2}})){{1,1}}(?: (?:{_PARTICLE} ){{0,2}}{WORD}){{0,4}}(?:,? (?:n[.º°]{{0,2}} ?)?{HOUSE}(?!\w))?"

_COMPOUND = (
    r"straße|strasse|straat|str\.|weg|gasse|platz|allee|damm|ufer|chaussee|steig|gade|gaden|vej|vejen|vænget|stræde|vägen|väg|gatan|gränd|stigen|backen|"
    r"veien|vegen|vei|gata|gaten|vegur|gata|stígur|braut|katu|kuja|polku|tie|laan|plein|kade|gracht|dreef|singel|steeg|utca|út|tér|iela|gatvė|tee|tänav|puiestee|ulice|ova|ská|ého|torget|torg|ring|markt|reihe|stieg|hof"
)
GERMANIC = (
    rf"{_BEFORE}(?<!\w)(?:{WORD}[ \-]){{0,3}}\p{{Lu}}[\p{{L}}\-]{{1,45}}?(?i:{_COMPOUND}),? {HOUSE}(?!\w)"
    rf"|{_BEFORE}(?<!\w)(?:{WORD} ){{1,3}}(?:utca|út|útja|tér|tee|tänav|pst|iela|gatvė|straat|laan|plein|ulice|trg|cesta|put|ulica|vej|weg|gade|katu|tie),? {HOUSE}(?!\w)"
)
BETWEEN_NUMBERS = rf"(?<![\w.,\-/])(?!(?:19[5-9]|20[0-4])\d )\d{{2,6}} (?!(?i:{MONTHS})\b){NAME} \d{{1,5}}[A-Za-z]?(?![\w%]|[.,:]\d)"
"""The house's number before the street, and another behind it; no date, and nothing that begins with a year."""

UNIT = r"(?:Apt|Apartment|Appartamento|Appt|Studio|Suite|Ste|Flat|APT|SUITE|apt|suite|apartment|flat|Whg|Wohnung|Piso|Interno|Lgh|lejl)\b\.?[ ]?#?[ ]?(?:No\.? )?[A-Za-z]?\d{1,5}[A-Za-z]?\b"
BOX = (
    r"(?<!\w)(?i:P\.? ?O\.? ?Box|Post Office Box|Postbox|Postfach|Postboks|Postbus|Apartado(?: de Correos)?|Casilla|Case postale|Caixa Postal|Box|B\.P\.|BP)"
    r" (?:No\.? |#)?\d{1,6}\b"
)
MILITARY = r"(?i:(?<!\w)(?:Unit|PSC|CMR) \d{1,5},? Box \d{1,5}(?:,?\s{1,3}(?:APO|FPO|DPO),? (?:AA|AE|AP) \d{5})?|(?<!\w)(?:(?:USNS|USS|USCGC|USNV) \p{L}{2,20},?\s{1,3})?(?:APO|FPO|DPO),? (?:AA|AE|AP) \d{5})"
POSTCODE = r"(?:[A-Z]{1,2}-)?(?:\d{2}-\d{3}|\d{3,6})(?:[ \-]\d{2,4}|[ ]?[A-Z]{2})?(?![\w.]\d|\w)"
"""Of most countries; other numbers look like it, so that it counts behind a street only."""

SHAPED_POSTCODE = (
    r"(?<!\w)(?:GIR 0AA|[A-PR-UWYZ](?:[A-HK-Y]?\d|\d[A-HJKPS-UW]|[A-HK-Y]\d[ABEHMNPRVWXY\d]) \d[ABD-HJLNP-UW-Z]{2}"
    r"|[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d)(?!\w)"
)
"""Of the United Kingdom and Canada, which nothing else looks like."""

LABELLED_POSTCODE = (
    r"(?i:\b(?:zip(?: ?code)?|post ?code|postal code|plz|postleitzahl|code postal|código postal|codigo postal|cep|c\.p\.|cap|postcode|postnummer|postinumero|pin code))"
    r"(?:\s?[:#=]\s{0,2}| is | )(?<code>(?=[A-Z0-9 \-]{0,9}\d)[A-Za-z0-9]{1,6}(?:[ \-][A-Z0-9]{1,4})?)\b"
)
CITY_STATE = rf"{NAME},? (?:{STATES}) \d{{5}}(?:-\d{{4}})?\b"
"""With an American postcode, which tells the state from a word."""
_LIVES = (
    r"lives?|lived|living|resides?|residing|staying|located|moved|delivered|deliver|shipped|meet(?: me)?|address|office|restaurant|shop|"
    r"drops? (?:you|me|us)? ?off|side|corner|wohn(?:e|t|en|haft)|adresse|habite|vivo|vive|domicilio|dirección|abito|abita|indirizzo|"
    r"woon|woont|adres|moro|mora|morada|mieszkam|mieszka|adresem|bor|μένω|διεύθυνση|живу|адрес\p{L}{0,2}"
)
LABELLED_STREET = (
    rf"(?i:\b(?:{_LIVES}))(?:[ \t]?(?::|is|was|ist|est|es|è))?"
    r"(?: (?:at|on|of|to|in|is|am|au|en|na|op|på|στη διεύθυνση|по адресу))?\s{1,3}"
    rf"(?<street>{NAME},? \d{{1,5}}[A-Za-z]?|\d{{2,6}} (?:[\p{{L}}\p{{M}}.'’\-]{{1,25}}+ ){{1,4}}\d{{1,5}}[A-Za-z]?"
    rf"|\d{{2,6}} \d{{1,5}} {NAME})(?![\w%]|[.,:]\d)"
)
CORNER = rf"(?i:\bthe corner of )(?:{HOUSE} )?{NAME}(?: {HOUSE})? and (?:{HOUSE} )?{NAME}(?: {HOUSE}(?!\w))?"
