"""Closed lists: the world's countries, its nationalities and religions, the states of three federations, and months."""

COUNTRIES = frozenset(
    """
    Afghanistan|Albania|Algeria|Andorra|Angola|Antigua and Barbuda|Argentina|Armenia|Aruba|Australia|Austria|Azerbaijan|
    Bahamas|Bahrain|Bangladesh|Barbados|Belarus|Belgium|Belize|Benin|Bermuda|Bhutan|Bolivia|Bosnia|Bosnia and Herzegovina|
    Botswana|Brazil|Brunei|Bulgaria|Burkina Faso|Burundi|Cambodia|Cameroon|Canada|Cape Verde|Cabo Verde|
    Central African Republic|Chad|Chile|China|Colombia|Comoros|Congo|Costa Rica|Croatia|Cuba|Cyprus|Czechia|Czech Republic|
    Denmark|Djibouti|Dominica|Dominican Republic|East Timor|Ecuador|Egypt|El Salvador|England|Equatorial Guinea|Eritrea|Estonia|
    Eswatini|Ethiopia|Faroe Islands|Fiji|Finland|France|Gabon|Gambia|Georgia|Germany|Ghana|Gibraltar|Greece|Greenland|Grenada|
    Guadeloupe|Guatemala|Guinea|Guinea-Bissau|Guyana|Haiti|Honduras|Hong Kong|Hungary|Iceland|India|Indonesia|Iran|Iraq|Ireland|
    Israel|Italy|Ivory Coast|Jamaica|Japan|Jordan|Kazakhstan|Kenya|Kiribati|Kosovo|Kuwait|Kyrgyzstan|Laos|Latvia|Lebanon|Lesotho|
    Liberia|Libya|Liechtenstein|Lithuania|Luxembourg|Macau|Macedonia|Madagascar|Malawi|Malaysia|Maldives|Mali|Malta|Marshall Islands|
    Martinique|Mauritania|Mauritius|Mexico|Micronesia|Moldova|Monaco|Mongolia|Montenegro|Morocco|Mozambique|Myanmar|Namibia|Nauru|
    Nepal|Netherlands|New Caledonia|New Zealand|Nicaragua|Niger|Nigeria|North Korea|North Macedonia|Northern Ireland|Norway|Oman|
    Pakistan|Palau|Palestine|Panama|Papua New Guinea|Paraguay|Peru|Philippines|Poland|Portugal|Puerto Rico|Qatar|Romania|Russia|
    Russian Federation|Rwanda|Saint Lucia|Samoa|San Marino|Saudi Arabia|Scotland|Senegal|Serbia|Seychelles|Sierra Leone|Singapore|
    Slovakia|Slovenia|Solomon Islands|Somalia|South Africa|South Korea|South Sudan|Spain|Sri Lanka|Sudan|Suriname|Swaziland|Sweden|
    Switzerland|Syria|Taiwan|Tajikistan|Tanzania|Thailand|Togo|Tonga|Trinidad and Tobago|Tunisia|Turkey|Türkiye|Turkmenistan|Tuvalu|
    Uganda|Ukraine|United Arab Emirates|United Kingdom|United States|United States of America|Uruguay|USA|Uzbekistan|Vanuatu|
    Vatican City|Venezuela|Vietnam|Wales|Yemen|Zambia|Zimbabwe|
    Belgique|België|Belgien|Brasil|Danmark|Deutschland|España|Hrvatska|Italia|Lietuva|Magyarország|México|Nederland|Norge|
    Österreich|Polska|România|Schweiz|Slovensko|Slovenija|Srbija|Suisse|Suomi|Svizzera|Sverige|Česko|Ελλάδα|Κύπρος|Россия|Україна
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)

ALSO_WORDS = frozenset(
    {"chad", "china", "georgia", "guinea", "jordan", "turkey", "congo", "niger", "polish", "mali", "oman"}
)
"""Of the names in these lists those that in small letters, or of people, mean something else."""

NATIONALITIES = frozenset(
    """
    Afghan Albanian Algerian American Andorran Angolan Argentine Argentinian Armenian Aruban Asian African Arab Australian Austrian
    Azerbaijani Bahamian Bahraini Bangladeshi Barbadian Basque Belarusian Belgian Belizean Belizian Beninese Bermudian Bhutanese Bolivian
    Bosnian Brazilian Breton British Bruneian Bulgarian Burkinabe Burmese Burundian Cambodian Cameroonian Canadian Catalan Chadian Chechen
    Chilean Chinese Colombian Comoran Congolese Croatian Cuban Cypriot Czech Czechoslovak Dane Danish Dominican Dutch Dutchman Ecuadorian
    Egyptian Emirati English Englishman Eritrean Estonian Ethiopian European Faroese Fijian Filipino Filipina Finn Finnish Flemish French
    Frenchman Gabonese Gambian Georgian German Ghanaian Greek Greenlander Greenlandic Grenadian Guatemalan Guinean Guyanese Haitian
    Hispanic Honduran Hungarian Icelander Icelandic Indian Indonesian Iranian Iraqi Irish Irishman Israeli Italian Ivorian Jamaican
    Japanese Jordanian Kazakh Kenyan Korean Kosovar Kurdish Kuwaiti Kyrgyz Lao Laotian Latino Latina Latvian Lebanese Liberian Libyan
    Lithuanian Luxembourger Macedonian Malagasy Malawian Malaysian Maldivian Malian Maltese Mauritanian Mauritian Mexican Moldovan
    Mongolian Montenegrin Moroccan Mozambican Namibian Nepalese Nepali Nicaraguan Nigerian Nigerien Norwegian Omani Pakistani
    Palestinian Panamanian Paraguayan Persian Peruvian Pole Polish Portuguese Qatari Romanian Russian Rwandan Salvadoran Samoan Saudi
    Scottish Senegalese Serb Serbian Singaporean Slovak Slovakian Slovene Slovenian Somali Spaniard Spanish Sudanese Surinamese Swazi
    Swede Swedish Swiss Syrian Taiwanese Tajik Tanzanian Thai Tibetan Togolese Tongan Tunisian Turk Turkish Turkmen Ugandan Ukrainian
    Uruguayan Uzbek Venezuelan Vietnamese Welsh Yemeni Zambian Zimbabwean
    Anglican Atheist Baptist Buddhist Calvinist Catholic Christian Evangelical Hindu Jain Jew Jewish Lutheran Methodist Mormon Muslim
    Orthodox Presbyterian Protestant Quaker Shia Shiite Sikh Sunni Zoroastrian
    """.split()
)

STATES = (
    # of the United States and its territories, and of Canada and Australia
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|"
    "TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|GU|VI|AS|MP|FM|MH|PW|AA|AE|AP|"
    "AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT|NSW|VIC|QLD|WA|SA|TAS|ACT"
)
"""Abbreviations, as a regular expression's alternatives."""

_MONTHS = (
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sept sep oct nov dec "
    "januar februar märz april mai juni juli august september oktober november dezember jänner "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre "
    "januari februari maart mei augustus "
    "janeiro fevereiro março maio junho julho setembro outubro novembro dezembro"
).split()
MONTHS = "|".join(sorted(set(_MONTHS), key=lambda month: (-len(month), month)))
"""In seven languages, some shortened too, as a regular expression's alternatives; the longest first."""
