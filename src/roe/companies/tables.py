"""The tables about company names, read once, when the first name is parsed."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from roe.places import country_names

HERE = Path(__file__).resolve().parent

# Words that mean the same in a company's name. Abbreviations as stock exchanges print them, and banks in other languages.
# Any other translation is left alone: two companies may well be called Sol and Sun.
_SAME = {
    "american": "amer am",
    "associates": "assoc assocs associate",
    "bancorp": "bancorporation bancshares bankshares",
    "bank": "banco banque banca banka bk ginko",
    "biosciences": "biosci bioscience",
    "brothers": "bros gebr gebruder",
    "center": "centre ctr",
    "communications": "comm comms commun communication",
    "companies": "cos",
    "development": "dev developments",
    "electric": "elec electr denki elektro elektrik electrique electrica elettrica elektrische elektricitats elektrizitats",
    "engineering": "eng engg",
    "enterprises": "ent enterprise entpr",
    "entertainment": "entmt",
    "financial": "fin finl",
    "fort": "ft",
    "fund": "fd funds",
    "global": "glob",
    "group": "grp gr groupe gruppe grupo gruppo",
    "holdings": "hldgs hldg holding hold",
    "industries": "ind inds industry industrial kogyo",
    "insurance": "ins",
    "international": "intl internat int",
    "investment": "inv invest investments invst",
    "laboratories": "lab labs laboratory",
    "management": "mgmt mgt",
    "manufacturing": "mfg",
    "manufacturers": "mfrs",
    "marketing": "mktg",
    "medical": "med",
    "mount": "mt",
    "national": "natl nat",
    "pharmaceuticals": "pharma pharmaceutical pharm seiyaku",
    "products": "prod prods product",
    "properties": "prop props property",
    "resources": "res resource",
    "saint": "st",
    "sciences": "sci science",
    "services": "svcs svc service serv",
    "solutions": "sol solution",
    "standard": "std",
    "systems": "sys syst system",
    "technologies": "tech techs technology technologie technologia",
    "telecommunications": "telecom",
    "therapeutics": "ther therap",
    "trust": "tr trst",
    "united": "utd",
    "university": "univ",
}
# Words in several languages: the word that stands for all of them, other English words, and behind the bar those of other languages. Each is as
# common as it is.
_TRANSLATED = {
    "motor": "| jidosha",
    "agriculture": "| landwirtschaft agricola agricole agricultura landbouw rolnictwo",
    "airport": "airports | flughafen aeroport aeroports aeropuerto aeropuertos aeroporto aeroporti aeroportos lufthavn lufthavne lufthavnen flygplats flyplass luchthaven lotnisko letiste",
    "appliances": "appliance | haushaltsgerate electromenager electrodomesticos elettrodomestici eletrodomesticos vitvaror",
    "airlines": "airline | aerolineas luftfahrt lineas linee aeree flyg fly",
    "insurance": "| versicherung versicherungen versicherungs seguros assicurazioni verzekeringen forsikring forsakring ubezpieczenia hoken",
    "assurance": "| assurances",
    "baltic": "| baltiyskiy baltyk ostsee",
    "bakery": "| backerei boulangerie panaderia panificio bageri piekarnia bakkerij",
    "bearing": "bearings | podshipnik roulements rodamientos cuscinetti",
    "beer": "| bier biere bieres birra birre cerveza cervezas cerveja cervejas pivo piwo",
    "beverages": "| getranke boissons bebidas bevande drycker napoje dranken",
    "books": "book | bucher livres libros libri livros bocker boger boeken ksiazki",
    "brewery": "| brauerei brasserie brasseries cerveceria cervejaria birreria bryggeri brouwerij browar pivovar",
    "building": "construction | bau baugesellschaft bouw construcciones construcoes costruzioni bygg byg byggeri budowa budownictwo stavby batiment kensetsu constructions",
    "cement": "| zement ciment cemento cementos cimento cementi",
    "chemical": "chemicals | chemie chemische chimie chimica quimica kemi kemisk chemia kagaku",
    "city": "municipality | stadt ciudad citta cidade kommune gemeente gemeinde",
    "club": "| klub klubb klubben idrottsklubben idrottsklubb sportsklubben sportklub sportklubb sportverein idrottsforening ik sk bk",
    "clinic": "| klinik clinique clinica klinika",
    "clothing": "| bekleidung vetements ropa abbigliamento klader odziez",
    "coffee": "| kaffee cafes kaffe koffie",
    "consulting": "| beratung unternehmensberatung conseil conseils consultoria consulenza consultores advies radgivning doradztwo",
    "cosmetics": "cosmetic | kosmetik cosmetiques cosmeticos cosmetici kosmetyki",
    "dairy": "| molkerei laiterie lacteos latticini mejeri zuivel",
    "data": "| daten donnees datos dati",
    "east": "| ost este",
    "energy": "| energie energia energi energies energetik",
    "environment": "environmental | environnement umwelt ambiente medioambiente miljo milieu",
    "equipment": "| ausrustung equipement equipements equipos",
    "electronics": "electronic | elektronik electronique electronica elettronica eletronica elektronika denshi",
    "fashion": "| mode moda",
    "fish": "| fisch poisson pescado pesce fisk",
    "flowers": "flower | blumen fleurs flores fiori blommor blomster bloemen kwiaty",
    "food": "foods | lebensmittel alimentation alimentos alimentari livsmedel alimentaire shokuhin",
    "football": "| fc afc fussball fotboll fotbollsforening fodbold fotball futbol futebol calcio voetbal",
    "forest": "| forst foret bosque foresta skog skov",
    "fruit": "fruits | obst frutas fruta frutta frukt frugt owoce",
    "furniture": "| mobel meubles muebles mobili meubelen meble",
    "glass": "| glas verre vidrio vetro vetri szklo",
    "gold": "| oro",
    "harbour": "port ports harbor | hafen havn havne havner hamn hamnar haven puerto puertos porto porti",
    "health": "| gesundheit sante salud salute saude halsa sundhed helse zdrowie",
    "hospital": "hospitals | krankenhaus hopital hopitaux ospedale ospedali hospitales hospitais sjukhus sykehus sygehus ziekenhuis szpital nemocnice",
    "hotels": "hotel | hoteles hoteis alberghi",
    "house": "| haus maison casa hus huis dom",
    "investment": "| investering investeringen investeringsmaatschappij investissement investissements inversiones inversion investimenti investimentos investitionen inwestycje",
    "iron": "| eisen fer hierro ferro jern",
    "leather": "| leder cuir cuirs cuero cueros cuoio couro lader skora",
    "logistics": "| logistik logistique logistica logistiek logistyka",
    "machines": "machinery machine | maschinen maschinenbau maschinenfabrik maquinas maquinaria macchine maskiner maskin kikai",
    "meat": "| fleisch viande viandes carne carnes carni kott kod vlees mieso",
    "metal": "metals | metall metaux metales metalli",
    "milk": "| milch lait leche latte leite mjolk melk maelk mleko",
    "mining": "| bergbau bergwerk mineria minera minas miniere gruvor",
    "north": "| nord norte nordic",
    "oil": "petroleum | ol petrole petroleo petrolio olje olie",
    "paint": "paints | farben peinture peintures pintura pinturas vernici tintas farg maling farby",
    "paper": "| papier papel carta papir papper seishi",
    "pharmacy": "| apotheke apotheken pharmacie farmacia farmacias apotek apteka apotheek",
    "plastics": "plastic | kunststoff kunststoffe plastique plastiques plastico plasticos plastica kunststof tworzywa",
    "plant": "works mill factory | zavod werk werke fabrika kombinat fabrik fabrique fabrica fabbrica fabriek fabryka",
    "post": "| poste correos posten poczta",
    "publishing": "publishers publisher | verlag editorial editoriale editrice editora forlag uitgeverij wydawnictwo edition editions",
    "power": "| strom kraft kraftwerk kraftwerke elkraft denryoku",
    "pumps": "pump | pumpen pompes bombas pompe pumpar pumper pompen pompy",
    "printing": "| druck druckerei imprimerie imprenta stampa tryk tryckeri drukkerij drukarnia insatsu",
    "railway": "railways rail railroad | eisenbahn bahn bahnen chemin ferrocarriles ferrocarril ferrovie ferrovia ferrovias jarnvag jernbane spoorwegen kolej tetsudo",
    "realty": "realestate | immobilien immobilier immobiliere immobiliaria inmobiliaria imobiliaria immobiliare fastigheter ejendomme eiendom vastgoed nieruchomosci fudosan",
    "research": "| forschung recherche investigacion ricerca forskning",
    "school": "| schule ecole escuela scuola skola skole",
    "security": "| sicherheit securite seguridad sicurezza sakerhet sikkerhed beveiliging",
    "services": "| dienste dienstleistungen servicios servicos servizi tjanster diensten",
    "seeds": "seed | saatgut semences semillas sementi sementes fron zaden nasiona",
    "shipyard": "shipyards | verf sudoverf werft astilleros stocznia",
    "shoes": "footwear shoe | schuhe schuh chaussures zapatos calzado calzados scarpe calzature sapatos calcados skor sko schoenen obuwie",
    "shipping": "| reederei schiffahrt schifffahrt navigation naviera navigazione rederi rederij zegluga armement kisen yusen",
    "south": "| sud sur sul syd",
    "steel": "| stahl acier acero aceros acciaio acciaierie stal staal aco seitetsu seiko",
    "stone": "| stein pierre piedra pietra sten steen",
    "sugar": "| zucker sucre azucar zucchero socker sukker cukier",
    "textile": "textiles | textil tessile tessuti",
    "tires": "tire tyre tyres | reifen pneus neumaticos pneumatici llantas dack daek banden opony",
    "tobacco": "| tabak tabac tabaco tabacco tobak",
    "tools": "tool | werkzeug werkzeuge outils herramientas utensili verktyg",
    "tourism": "| tourismus tourisme turismo turism reisen voyages viajes viaggi resor rejser",
    "toys": "toy | spielzeug spielwaren jouets juguetes giocattoli brinquedos leksaker legetoj speelgoed zabawki",
    "transport": "transportation | transporte transportes trasporti transporter spedition unyu unso transports",
    "university": "| universitat universite universidad universita universidade universitet universitetet universiteit uniwersytet",
    "watches": "watch | uhren montres relojes orologi relogios klockor horloges zegarki",
    "water": "| wasser eau eaux agua aguas acqua acque vatten vand",
    "west": "| ouest oeste ovest vest",
    "wine": "wines | wein weingut vin vins vino vinos vini vinhos bodegas",
    "wood": "| holz bois madera madeira legno legnami legname tra trae hout drewno",
    "workshop": "| werkstatt werkstatten taller talleres officina officine verksted verkstad atelier ateliers",
}
# Given names as signs and registers shorten them
_GIVEN_NAMES = {
    "alexander": "alex", "benjamin": "benj", "charles": "chas", "christian": "chr", "edward": "edw", "friedrich": "friedr", "heinrich": "heinr",
    "james": "jas", "johann": "joh", "joseph": "jos", "ludwig": "ludw", "robert": "robt", "samuel": "saml", "thomas": "thos", "wilhelm": "wilh", "william": "wm",
}  # fmt: skip
# Cities under the names that they have in several languages
_CITIES = {
    "antwerp": "antwerpen anvers amberes", "athens": "athen athenes atene athina", "basel": "basle bale basilea", "belgrade": "beograd belgrad", "bruges": "brugge",
    "brussels": "bruxelles brussel brussel bruselas", "bucharest": "bucuresti bukarest", "cologne": "koln koeln keulen colonia", "copenhagen": "kobenhavn kopenhagen koebenhavn copenhague",
    "florence": "firenze florenz florencia", "geneva": "geneve genf ginevra", "genoa": "genova genua genes", "ghent": "gent gand", "gothenburg": "goteborg goeteborg", "hanover": "hannover",
    "krakow": "cracow krakau cracovie", "kyiv": "kiev kiew", "lisbon": "lisboa lissabon lisbonne", "lyon": "lyons", "mexico": "mexiko mexique", "milan": "milano mailand", "moscow": "moskva moskau moskwa moscou moskovskiy",
    "munich": "munchen muenchen monaco", "naples": "napoli neapel", "nuremberg": "nurnberg nuernberg norimberga", "prague": "praha prag praga", "orel": "oryol orlovskiy", "petersburg": "peterburg", "rome": "roma rom", "seville": "sevilla",
    "turin": "torino", "ufa": "ufimskiy", "venice": "venezia venedig", "vienna": "wien vienne", "vologda": "vologodskiy", "warsaw": "warszawa warschau varsovie", "zurich": "zuerich zurigo",
}  # fmt: skip
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth"
)
# In other languages, without the words that are names or mean something else: `Otto`, `Elf`, `neuf`, `once`, `sei`, `deus`, `Dix`, `Tien`
_OTHER_NUMBERS = {
    2: "zwei deux dois twee", 3: "drei trois tres drie", 4: "vier quatre cuatro quattro quatro fyra", 5: "funf cinq cinco cinque vijf", 6: "sechs seis zes",
    7: "sieben sept siete sette sete zeven sju", 8: "acht huit ocho oito", 9: "neun nueve negen", 10: "zehn diez dieci", 12: "zwolf douze twaalf",
}  # fmt: skip

_SMALL = (
    "and und et y e of the de la le les du des der die das den el los las del da do dos di della og och pour for l d van von fur i "
    "ja www com in zu per lo gli dello degli delle nella zum zur dem het"
)
SMALL = frozenset(_SMALL.split())
# Short legal forms that stand before a name in their countries
_LEADING = (
    "ab ad ag ao as bv cv gk kk llc llp nv ou oy pt sa yk chp ets fop ip jsc nao npo oao odo ooo pao sia sp srl too tov tnhh uab zao doo"
)
LEADING = frozenset(_LEADING.split())
SITS_IN = frozenset(["in", "zu"])  # before the place where a company is
# What any company may have an arm for, which is a company of its own: `Volkswagen`, `Volkswagen Leasing`
_ARMS = (
    "bank banking bottling capital car cars consumer credit estate finance financial foundation fund insurance leasing mortgage pension reinsurance realty "
    "reit ventures"
)
ARMS = frozenset(_ARMS.split())
NUMBERS = {w: n for n, w in enumerate(_UNITS.split())} | {w: n for n, w in enumerate(_ORDINALS.split(), 1)}
NUMBERS |= {word: n for n, words in _OTHER_NUMBERS.items() for word in words.split()}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {w: n for n, w in zip(range(20, 100, 10), _TENS.split(), strict=True)}
_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"
ROMAN = {w: n for n, w in enumerate(_ROMAN.split(), 1)}
# What words of several parts end with, each of which has a letter among the initials of a name
COMPOSED_WITH = (
    "gesellschaft", "verwaltung", "vereinigung", "genossenschaft", "versicherung", "versicherungen", "zeitung", "verband", "verein", "forening", "klubb", "klub", "kasse", "bank", "werke", "werk", "bahnen", "bahn", "haus", "stadt", "land", "bau", "post", "lag",
)  # fmt: skip
CLUBS = ("forening", "klubb", "klub", "verein", "lag")  # with these a word is known by its initials: `IF`, `SK`, `SV`
# Legal forms in scripts without spaces between words. In English they are `Co., Ltd.`, whatever their kind.
WRITTEN_TOGETHER = {
    "股份有限公司": "stock", "有限责任公司": "limited", "有限公司": "limited", "株式会社": "stock", "(株)": "stock", "（株）": "stock", "㈱": "stock",
    "有限会社": "limited", "合同会社": "limited", "주식회사": "stock", "(주)": "stock", "㈜": "stock", "유한회사": "limited",
}  # fmt: skip
# How Japanese companies read the words that stand in many of their names; characters alone do not tell it
READ_ALOUD = {
    "電機": "denki", "電気": "denki", "電子": "denshi", "電力": "denryoku", "電工": "denko", "工業": "kogyo", "重工業": "jukogyo", "化学": "kagaku",
    "製作所": "seisakusho", "製薬": "seiyaku", "製鉄": "seitetsu", "製鋼": "seiko", "製紙": "seishi", "銀行": "ginko", "証券": "shoken", "保険": "hoken",
    "生命": "seimei", "商事": "shoji", "物産": "bussan", "産業": "sangyo", "商店": "shoten", "商会": "shokai", "建設": "kensetsu", "組": "gumi",
    "不動産": "fudosan", "鉄道": "tetsudo", "運輸": "unyu", "運送": "unso", "通信": "tsushin", "放送": "hoso", "印刷": "insatsu", "食品": "shokuhin",
    "自動車": "jidosha", "機械": "kikai", "精機": "seiki", "精密": "seimitsu", "金属": "kinzoku", "硝子": "garasu", "研究所": "kenkyujo", "日本": "nihon",
    "鉄工": "tekko", "鉄工所": "tekkosho", "造船": "zosen", "電線": "densen", "倉庫": "soko", "薬品": "yakuhin", "水産": "suisan", "製粉": "seifun", "製菓": "seika", "ガス": "gas",
}  # fmt: skip
# The same for words that Chinese and Korean companies translate
READ_ALOUD |= {
    "科技": "technology", "集团": "group", "电子": "electronics", "实业": "industrial", "贸易": "trading", "国际": "international", "控股": "holdings",
    "投资": "investment", "银行": "bank", "保险": "insurance", "证券": "securities", "能源": "energy", "医药": "pharmaceutical", "汽车": "auto", "化工": "chemical",
    "钢铁": "steel", "建设集团": "construction group", "发展": "development", "物流": "logistics", "航空": "airlines", "中国": "china", "北京": "beijing",
    "上海": "shanghai", "深圳": "shenzhen", "广州": "guangzhou", "天津": "tianjin", "重庆": "chongqing", "南京": "nanjing", "武汉": "wuhan", "杭州": "hangzhou",
    "技术": "technology", "网络": "network", "软件": "software", "制药": "pharmaceutical", "生物": "bio", "机械": "machinery", "电气": "electric", "电力": "power",
    "地产": "realty", "置业": "realty", "传媒": "media", "文化": "culture", "教育": "education", "环保": "environment", "材料": "materials", "设备": "equipment",
    "工业": "industry", "矿业": "mining", "石油": "petroleum", "煤业": "coal", "水泥": "cement", "玻璃": "glass", "纺织": "textile", "酒店": "hotels", "旅游": "tourism",
    "铁路": "railway", "建筑": "construction", "工程": "engineering", "信息": "information", "数据": "data", "智能": "intelligent", "半导体": "semiconductor",
    "전자": "electronics", "건설": "construction", "은행": "bank", "화학": "chemical", "제약": "pharmaceutical", "증권": "securities", "보험": "insurance",
    "台灣": "taiwan", "臺灣": "taiwan", "台北": "taipei", "香港": "hong kong", "國際": "international", "貿易": "trading", "集團": "group", "實業": "industrial",
    "投資": "investment", "保險": "insurance", "證券": "securities", "醫藥": "pharmaceutical", "製造": "manufacturing", "發展": "development", "電腦": "computer",
    "青岛": "qingdao", "成都": "chengdu", "西安": "xian", "苏州": "suzhou", "宁波": "ningbo", "厦门": "xiamen", "大连": "dalian", "东莞": "dongguan", "佛山": "foshan", "长沙": "changsha",
    "食品": "food", "服装": "garment", "家具": "furniture", "塑料": "plastic", "仪器": "instruments", "光电": "optoelectronics", "新材料": "new materials", "新能源": "new energy",
    "자동차": "motor", "중공업": "heavy industries", "산업": "industries", "그룹": "group", "전기": "electric", "에너지": "energy", "식품": "foods", "제철": "steel", "조선": "shipbuilding", "해운": "shipping", "통신": "telecom", "기계": "machinery", "호텔": "hotel", "항공": "airlines", "시멘트": "cement",
    "제지": "paper", "타이어": "tire", "바이오": "bio", "엔지니어링": "engineering",
}  # fmt: skip
# And for what Russian plants make, whatever the ending that agrees with the noun
_RUSSIAN = {
    "вертолетн": "helicopter", "вертолётн": "helicopter", "дизельн": "diesel", "кондитерск": "confectionery", "лакокрасочн": "paint", "лесн": "timber",
    "локомотивн": "locomotive", "масложиров": "oil and fat", "медицинск": "medical", "медн": "copper", "морск": "sea", "мясн": "meat", "нефтеперерабатывающ": "oil refining",
    "нефтехимическ": "petrochemical", "огнеупорн": "refractory", "оптическ": "optical", "полиграфическ": "printing", "речн": "river", "ткацк": "weaving", "прядильн": "spinning", "ювелирн": "jewellery", "никелев": "nickel",
    "авиационн": "aviation", "аккумуляторн": "battery", "алюминиев": "aluminium", "бумажн": "paper", "вагоностроительн": "carriage", "винодельческ": "wine", "автомобильн": "automobile", "горнорудн": "mining", "кирпичн": "brick", "машиностроительн": "machine building",
    "деревообрабатывающ": "woodworking", "инструментальн": "tool", "кабельн": "cable", "керамическ": "ceramic", "кожевенн": "leather", "мебельн": "furniture",
    "механическ": "mechanical", "моторн": "motor", "мукомольн": "milling", "насосн": "pump", "обувн": "shoe", "оружейн": "arms", "пивоваренн": "brewing",
    "подшипников": "bearing", "радиотехническ": "radio engineering", "резинов": "rubber", "рыбн": "fish", "сахарн": "sugar", "табачн": "tobacco",
    "турбинн": "turbine", "фарфоров": "porcelain", "целлюлозн": "pulp", "часов": "watch", "швейн": "sewing", "шинн": "tyre", "электромеханическ": "electromechanical",
    "металлургическ": "metallurgical", "молочн": "dairy", "нефтян": "oil", "приборостроительн": "instrument making", "станкостроительн": "machine tool",
    "стекольн": "glass", "строительн": "building", "судостроительн": "shipbuilding", "судоремонтн": "ship repair", "текстильн": "textile", "трубн": "pipe",
    "тракторн": "tractor", "угольн": "coal", "фармацевтическ": "pharmaceutical", "химическ": "chemical", "хлебн": "bread", "цементн": "cement",
    "энергетическ": "energy", "электротехническ": "electrical",
}  # fmt: skip
READ_ALOUD |= {city + "市": READ_ALOUD[city] for city in ("北京", "上海", "深圳", "广州", "天津", "重庆", "南京", "武汉", "杭州")}
READ_ALOUD |= {
    stem + ending: meant for stem, meant in _RUSSIAN.items() for ending in ("ый", "ий", "ой", "ая", "ое", "ые", "о")
}  # and `целлюлозно-`
_TOWNS = (("нижегородск", "nizhny novgorod"), ("петербургск", "st petersburg"), ("санкт-петербургск", "st petersburg"))
READ_ALOUD |= {stem + ending: town for stem, town in _TOWNS for ending in ("ий", "ая", "ое")}
_MORE_PLACES = (
    "chad cuba fiji iran iraq laos mali oman peru togo uk usa us american europe european asia asian africa african nordic chinese indian deutschland german french italian espana brasil japanese "
    "schweiz suisse swiss osterreich austrian belgique nederland holland polska russian canadian australian mexicana hong kong korea korean "
    "turkish saudi arabia arabian emirates dubai london paris berlin shanghai beijing shenzhen tokyo york california texas florida chicago "
    "boston north south east west northern southern eastern western latin iberia benelux scandinavia baltic pacific atlantic"
)


_ENGLISH = ("island",)  # Iceland, in several languages


@cache
def same_words() -> dict[str, str]:
    """Each word that has several spellings, as the one that stands for all of them."""
    meaning: dict[str, str] = {}
    meaning |= {name: f"({code})" for name, code in country_names().items() if name in places()}
    for table in (_CITIES, _TRANSLATED, _GIVEN_NAMES, _SAME):  # what stands for a word in the last of them counts
        for meant, words in table.items():
            stands = meaning.get(meant, meant)
            meaning |= dict.fromkeys((meant, *words.replace("|", "").split()), stands)
    meaning |= {f"{city}s": meant for meant, words in _CITIES.items() for city in words.split() if f"{city}s" not in meaning}  # `Göteborgs`
    return meaning


@cache
def translations() -> dict[str, str]:
    """The words of other languages that mean a common word, with that word."""
    return {word: meant for meant, words in _TRANSLATED.items() for word in words.partition("|")[2].split()}


@cache
def legal_forms() -> dict[str, list[tuple[tuple[str, ...], str, bool]]]:
    """By their first word, the longest first: a legal form's words, its kind, and whether it is long enough to be one anywhere in a name.

    Kinds are `stock` (AG, SA, PAO), `limited` (GmbH, SARL, OOO), `partners`, `inc`, `ltd`, `plc`, and '' for forms that say nothing.
    """
    forms: dict[str, list[tuple[tuple[str, ...], str, bool]]] = {}
    with (HERE / "forms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words = tuple(row["form"].split())
            anywhere = len("".join(words)) >= LONG_FORM and words != ("company",)
            forms.setdefault(words[0], []).append((words, row["kind"], anywhere))
    for longest_first in forms.values():
        longest_first.sort(key=lambda form: -len(form[0]))
    return forms


@cache
def common_words() -> dict[str, int]:
    """In how many of 44,097 names of listed companies a word stands, if in fifteen or more; a translation as often as the word it means."""
    with (HERE / "words.csv").open(encoding="utf-8", newline="") as file:
        counted = {row["word"]: int(row["names"]) for row in csv.DictReader(file)}
    for meant, words in _TRANSLATED.items():
        every = (meant, *words.replace("|", "").split())
        often = max(LEAST_COUNTED, *(counted.get(word, 0) for word in every))
        counted |= {word: max(counted.get(word, 0), often) for word in every}
    return counted


LONG_FORM = 6  # letters from which on a legal form is recognised in the middle of a name
NAMES_COUNTED = 44_097
LEAST_COUNTED = 15


@cache
def places() -> frozenset[str]:
    """Countries of one word in any language, what is from there, and the regions that companies name their parts after."""
    single = {name for name in country_names() if len(name) > SHORT and name.isascii() and name.isalpha() and name not in _ENGLISH}
    return frozenset(single) | frozenset(_MORE_PLACES.split())


SHORT = 4  # letters of a country's name that may well be another word: those are listed by hand
