// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/phrases.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

namespace voxbus::kit::mail {
namespace {

using Words = std::string_view;

constexpr Words kVerbs[] = {
    // English, German, Dutch
    "wrote", "writes", "said", "written", "schrieb", "schrieben", "geschrieben", "schreibt",
    "schreef", "geschreven", "schrijft",
    // French, Spanish, Italian, Portuguese, Catalan, Romanian
    "schriebst", "écrit", "escribió", "escribio", "escrito", "escribe", "scritto", "scrisse",
    "scrive", "escreveu", "escriure", "escrit", "scris",
    // Polish, Czech, Slovak, Slovene, Croatian
    "napisał", "napisała", "napisał(a)", "napisał/a", "napisał(-a)", "pisze", "napsal", "napsala",
    "napsal(a)", "napsal/a", "napísal", "napísala", "napísal(a)", "napisal", "napisala", "napisao",
    "napisao/la", "napisana",
    // Russian, Ukrainian, Bulgarian, Greek
    "пишет", "писал", "писала", "писал(а)", "писал(-а)", "написал", "написала", "написал(а)",
    "написао/ла", "написао", "пише", "написав", "написав(-ла)", "написа", "έγραψε",
    // Swedish, Danish, Norwegian, Finnish, Estonian, Latvian, Lithuanian
    "skrev", "skriver", "kirjoitti", "kirjoittaa", "kirjutas", "rakstīja", "rašė", "parašė",
    // Hungarian, Turkish, Vietnamese, Indonesian, Hebrew, Arabic
    "írta", "yazdı", "yazmış", "viết", "menulis", "نوشت", "כתב", "כתבה", "כתב/ה", "كتب", "كتبت"};

// Where words are not parted by blanks: what stands right before the colon.
constexpr Words kVerbSuffixes[] = {"書きました", "のメール", "のメッセージ", "写道",    "寫道",
                                   "写到",       "作成",     "작성",         "님이 씀", "쓴 글",
                                   "เขียนว่า",     "เขียน",     "さんから"};

// Around a verb and no name: "has", "a", "ha", "the following".
constexpr Words kAroundVerbs[] = {
    "a",         "has",      "ha",      "hat",   "heeft",    "het",       "volgende",
    "folgendes", "şunu",     "şunları", "je",    "the",      "following", "va",
    "följande",  "følgende", "ezt",     "o",     "seguinte", "lo",        "siguiente",
    "τα",        "εξής",     "đã",      "ce",    "qui",      "suit",      "seuraavaa",
    "was",       "also",     "auch",    "aussi", "przez",    "је"};

constexpr Words kLeads[] = {"on",         "at",         "am",   "le",       "el",
                            "il",         "il giorno",  "em",   "a",        "op",
                            "w dniu",     "dnia",       "den",  "dne",      "dňa",
                            "på",         "na",         "em",   "в",        "от",
                            "на",         "στις",       "la",   "în",       "pe data de",
                            "den",        "ngày",       "vào",  "pada",     "tarihinde",
                            "在",         "于",         "於",   "--- on",   "----- on",
                            "in message", "in article", "in <", "ב",        "בתאריך",
                            "في",         "dana",       "дана", "در تاریخ", "wiadomość napisana"};

constexpr Words kQuoting[] = {"quoting",
                              "zitat von",
                              "citando",
                              "citerar",
                              "citat fra",
                              "citation de",
                              "quoting message from",
                              "cytowanie",
                              "citát od",
                              "missatge de",
                              "lainaus",
                              "quoth",
                              "according to"};

constexpr Words kBetween[] = {"at",       "um",          "uhr",      "à",
                              "alle",     "ore",         "las",      "às",
                              "kl",       "kl.",         "om",       "o",
                              "v",        "klo",         "c",        "в",
                              "г",        "г.",          "saat",     "am",
                              "pm",       "a.m.",        "p.m.",     "am,",
                              "pm,",      "utc",         "gmt",      "cet",
                              "cest",     "mez",         "mesz",     "bst",
                              "edt",      "est",         "pst",      "pdt",
                              "cst",      "cdt",         "msk",      "the",
                              "from",     "tarihinde",   "heeft",    "odesílatel",
                              "używatel", "użytkownik",  "schrieb",  "schreef",
                              "skrev",    "de",          "del",      "a",
                              "il",       "giorno",      "le",       "el",
                              "on",       "op",          "den",      "dne",
                              "dnia",     "dniu",        "w",        "em",
                              "от",       "hat",         "h",        "時",
                              "午前",     "午後",        "上午",     "下午",
                              "오전",     "오후",        "user",     "пользователь",
                              "wrote",    "van",         "przez",    "писал",
                              "писала",   "пишет",       "\"",       "-",
                              "–",        "—",           "/",        "|",
                              "in",       "message",     "article",  "at:",
                              "gmt+1",    "ha",          "a las",    "kello",
                              "tid",      "kell",        "godz.",    "godzinie",
                              "hod.",     "hodin",       "в:",       "lúc",
                              "vào",      "pukul",       "στις",     "quoting",
                              "zitat",    "von",         "citando",  "citerar",
                              "noon",     "ο",           "χρήστης",  "midnight",
                              "z",        "by",          "kasutaja", "lietotājs",
                              "plkst",    "plkst.",      "у",        "р",
                              "о",        "keltezéssel", "klokken",  "klockan"};

constexpr Words kFirstPerson[] = {
    "i",    "we",  "ich", "wir",  "je",  "nous", "yo",  "nosotros", "io",    "noi",  "eu", "nós",
    "ik",   "wij", "ja",  "my",   "я",   "мы",   "jag", "vi",       "jeg",   "minä", "me", "já",
    "j'ai", "she", "he",  "they", "sie", "er",   "who", "wer",      "which", "that", "it"};

// As far as they are no filler, no day and no common name.
constexpr Words kPronouns[] = {
    // English, German, Dutch
    "me", "we", "you", "he", "she", "they", "us", "him", "her", "them", "ich", "wir", "er", "mir",
    "mich", "uns", "ihnen", "ihm", "ihn", "euch", "dir", "dich", "ik", "wij", "jij", "hij", "zij",
    "mij", "ons",
    // French, Spanish, Italian, Portuguese
    "j'ai", "j’ai", "m'a", "m’a", "m'avez", "m’avez", "nous", "vous", "elle", "ils", "elles", "yo",
    "él", "ella", "ellos", "ellas", "usted", "ustedes", "nosotros", "io", "noi", "voi", "lui",
    "lei", "ele", "ela", "eles", "elas", "nós", "vocês", "você",
    // Polish, Czech, Russian, Ukrainian
    "ona", "oni", "mnie", "nam", "wam", "já", "mně", "vám", "я", "мы", "он", "она", "они", "мне",
    "нам", "вам", "ми", "ви", "вона", "мені",
    // Swedish, Danish, Norwegian, Finnish
    "jag", "jeg", "hon", "hun", "han", "mig", "meg", "oss", "minä", "hän", "minulle"};

constexpr Words kPossessives[] = {
    "my",      "your",    "our",   "his",     "their",   "ihr",     "ihre",    "ihrem",  "ihren",
    "ihrer",   "ihres",   "mein",  "meine",   "meinem",  "meinen",  "meiner",  "unser",  "unsere",
    "unserem", "unseren", "euer",  "eure",    "uw",      "jouw",    "mijn",    "onze",   "votre",
    "notre",   "leur",    "vos",   "vuestro", "vuestra", "nuestro", "nuestra", "vostro", "vostra",
    "nostro",  "nostra",  "vosso", "vossa",   "nosso",   "nossa",   "wasz",    "wasza",  "nasz",
    "nasza",   "váš",     "vaše",  "náš",     "naše",    "ваш",     "ваша",    "наш",    "наша",
    "deres",   "vår",     "vårt",  "teidän"};

constexpr Words kDates[] = {"mon",          "tue",          "wed",
                            "thu",          "fri",          "sat",
                            "sun",          "monday",       "tuesday",
                            "wednesday",    "thursday",     "friday",
                            "saturday",     "sunday",       "montag",
                            "dienstag",     "mittwoch",     "donnerstag",
                            "freitag",      "samstag",      "sonntag",
                            "mo",           "di",           "mi",
                            "do",           "fr",           "sa",
                            "so",           "lun",          "mar",
                            "mer",          "jeu",          "ven",
                            "sam",          "dim",          "lundi",
                            "mardi",        "mercredi",     "jeudi",
                            "vendredi",     "samedi",       "dimanche",
                            "mié",          "jue",          "vie",
                            "sáb",          "dom",          "lunes",
                            "martes",       "miércoles",    "jueves",
                            "viernes",      "sábado",       "domingo",
                            "gio",          "sab",          "lunedì",
                            "martedì",      "mercoledì",    "giovedì",
                            "venerdì",      "sabato",       "domenica",
                            "seg",          "ter",          "qua",
                            "qui",          "sex",          "segunda-feira",
                            "terça-feira",  "quarta-feira", "quinta-feira",
                            "sexta-feira",  "ma",           "wo",
                            "vr",           "za",           "zo",
                            "maandag",      "dinsdag",      "woensdag",
                            "donderdag",    "vrijdag",      "zaterdag",
                            "zondag",       "pon",          "wt",
                            "śr",           "czw",          "pt",
                            "sob",          "niedz",        "poniedziałek",
                            "wtorek",       "środa",        "czwartek",
                            "piątek",       "пн",           "вт",
                            "ср",           "чт",           "пт",
                            "сб",           "вс",           "понедельник",
                            "вторник",      "среда",        "четверг",
                            "пятница",      "суббота",      "воскресенье",
                            "mån",          "tis",          "ons",
                            "tors",         "fre",          "lör",
                            "sön",          "måndag",       "tisdag",
                            "onsdag",       "torsdag",      "fredag",
                            "lördag",       "söndag",       "man",
                            "tir",          "tor",          "lør",
                            "søn",          "mandag",       "tirsdag",
                            "lørdag",       "søndag",       "ti",
                            "ke",           "to",           "pe",
                            "la",           "su",           "po",
                            "út",           "st",           "čt",
                            "pá",           "ne",           "pondělí",
                            "úterý",        "středa",       "čtvrtek",
                            "pátek",        "pzt",          "sal",
                            "çar",          "per",          "cum",
                            "cmt",          "paz",          "jan",
                            "feb",          "apr",          "may",
                            "jun",          "jul",          "aug",
                            "sep",          "sept",         "oct",
                            "nov",          "dec",          "january",
                            "february",     "march",        "april",
                            "june",         "july",         "august",
                            "september",    "october",      "november",
                            "december",     "januar",       "februar",
                            "märz",         "mai",          "juni",
                            "juli",         "oktober",      "dezember",
                            "janv",         "janvier",      "févr",
                            "février",      "mars",         "avr",
                            "avril",        "juin",         "juil",
                            "juillet",      "août",         "septembre",
                            "octobre",      "novembre",     "déc",
                            "décembre",     "ene",          "enero",
                            "febrero",      "marzo",        "abr",
                            "abril",        "mayo",         "junio",
                            "julio",        "ago",          "agosto",
                            "septiembre",   "octubre",      "noviembre",
                            "dic",          "diciembre",    "gen",
                            "gennaio",      "febbraio",     "aprile",
                            "mag",          "maggio",       "giu",
                            "giugno",       "lug",          "luglio",
                            "set",          "settembre",    "ott",
                            "ottobre",      "dicembre",     "janeiro",
                            "fev",          "fevereiro",    "março",
                            "maio",         "junho",        "julho",
                            "setembro",     "out",          "outubro",
                            "novembro",     "dez",          "dezembro",
                            "januari",      "februari",     "mrt",
                            "maart",        "mei",          "augustus",
                            "okt",          "sty",          "lut",
                            "kwi",          "maj",          "cze",
                            "lip",          "sie",          "wrz",
                            "paź",          "lis",          "gru",
                            "stycznia",     "lutego",       "marca",
                            "kwietnia",     "maja",         "czerwca",
                            "lipca",        "sierpnia",     "września",
                            "października", "listopada",    "grudnia",
                            "янв",          "января",       "фев",
                            "февр",         "февраля",      "марта",
                            "апр",          "апреля",       "мая",
                            "июн",          "июня",         "июл",
                            "июля",         "авг",          "августа",
                            "сент",         "сентября",     "окт",
                            "октября",      "нояб",         "ноября",
                            "дек",          "декабря",      "augusti",
                            "tammik",       "tammikuuta",   "helmik",
                            "maalisk",      "huhtik",       "toukok",
                            "kesäk",        "heinäk",       "elok",
                            "syysk",        "lokak",        "marrask",
                            "jouluk",       "ledna",        "února",
                            "března",       "dubna",        "května",
                            "června",       "července",     "srpna",
                            "září",         "října",        "listopadu",
                            "prosince",     "oca",          "ocak",
                            "şub",          "şubat",        "mart",
                            "nis",          "nisan",        "haz",
                            "haziran",      "tem",          "temmuz",
                            "ağu",          "ağustos",      "eyl",
                            "eylül",        "eki",          "ekim",
                            "kas",          "kasım",        "ara",
                            "aralık",       "december",     "desember",
                            "des"};

constexpr Words kOriginals[] = {"original message",
                                "original appointment",
                                "original-nachricht",
                                "originalnachricht",
                                "ursprüngliche nachricht",
                                "ursprüngliche mitteilung",
                                "message d'origine",
                                "message d’origine",
                                "message original",
                                "mensaje original",
                                "messaggio originale",
                                "mensagem original",
                                "oorspronkelijk bericht",
                                "oorspronkelijke e-mail",
                                "wiadomość oryginalna",
                                "oryginalna wiadomość",
                                "исходное сообщение",
                                "Исходное сообщение",
                                "оригинальное сообщение",
                                "Оригинальное сообщение",
                                "Пересылаемое сообщение начало",
                                "ursprungligt meddelande",
                                "originalmeddelande",
                                "oprindelig meddelelse",
                                "original meddelelse",
                                "opprinnelig melding",
                                "alkuperäinen viesti",
                                "původní zpráva",
                                "původní e-mail",
                                "pôvodná správa",
                                "özgün ileti",
                                "orijinal mesaj",
                                "orjinal mesaj",
                                "özgün mesaj",
                                "元のメッセージ",
                                "元のメール",
                                "邮件原件",
                                "原始邮件",
                                "原始郵件",
                                "原始信件",
                                "원본 메시지",
                                "원본 메일",
                                "eredeti üzenet",
                                "Початкове повідомлення",
                                "Αρχικό μήνυμα",
                                "mesaj original",
                                "izvorna poruka",
                                "thư gốc",
                                "pesan asli",
                                "reply message",
                                "replied message",
                                "回复的原邮件"};

constexpr Words kForwards[] = {"forwarded message",
                               "forwarded by",
                               "forwarded email",
                               "weitergeleitete nachricht",
                               "weitergeleitete e-mail",
                               "weitergeleiteten nachricht",
                               "weitergeleitet von",
                               "transféré par",
                               "reenviado por",
                               "inoltrato da",
                               "doorgestuurd door",
                               "encaminhado por",
                               "message transféré",
                               "message réexpédié",
                               "message transmis",
                               "mensaje reenviado",
                               "messaggio inoltrato",
                               "mensagem encaminhada",
                               "mensagem reencaminhada",
                               "doorgestuurd bericht",
                               "forwarded bericht",
                               "przekazana wiadomość",
                               "wiadomość przekazana",
                               "treść przekazanej wiadomości",
                               "Пересылаемое сообщение",
                               "пересылаемое сообщение",
                               "Пересланное сообщение",
                               "пересланное сообщение",
                               "переадресованного сообщения",
                               "переадресованное сообщение",
                               "vidarebefordrat meddelande",
                               "vidarebefordrat brev",
                               "vidarebefordrat mejl",
                               "videresendt meddelelse",
                               "videresendt besked",
                               "videresendt melding",
                               "videresendt e-mail",
                               "välitetty viesti",
                               "edelleenlähetetty viesti",
                               "välitetyn viestin",
                               "přeposlaná zpráva",
                               "přeposlané zprávy",
                               "preposlaná správa",
                               "iletilmiş ileti",
                               "iletilen mesaj",
                               "iletilen ileti",
                               "yönlendirilmiş mesaj",
                               "転送メッセージ",
                               "転送されたメッセージ",
                               "转发邮件",
                               "转发的邮件",
                               "轉寄郵件",
                               "已转发邮件",
                               "전달된 메시지",
                               "továbbított üzenet",
                               "Переслане повідомлення",
                               "Προωθημένο μήνυμα",
                               "mesaj redirecționat"};

constexpr Words kForwardEnds[] = {"end of forwarded",
                                  "end forwarded",
                                  "ende der weitergeleiteten",
                                  "ende weitergeleitete",
                                  "fin du message transféré",
                                  "fin du message réexpédié",
                                  "fin du message transmis",
                                  "fin del mensaje reenviado",
                                  "fine del messaggio inoltrato",
                                  "fine messaggio inoltrato",
                                  "fim da mensagem encaminhada",
                                  "fim da mensagem reencaminhada",
                                  "einde doorgestuurd",
                                  "einde van doorgestuurd",
                                  "einde van het doorgestuurde",
                                  "koniec przekazan",
                                  "koniec przesłan",
                                  "Конец пересылаемого",
                                  "конец пересылаемого",
                                  "Конец пересланного",
                                  "конец пересланного",
                                  "Кінець пересланого",
                                  "slut på vidarebefordrat",
                                  "slut vidarebefordrat",
                                  "slut på videresendt",
                                  "slutt på videresendt",
                                  "välitetyn viestin loppu",
                                  "konec přeposlané",
                                  "koniec preposlanej",
                                  "iletilen mesajın sonu",
                                  "転送メッセージの終わり"};

constexpr Words kForwardPrefixes[] = {
    "fwd",  "fw",    "wg",  "tr",  "rv",         "enc", "i",   "doorst", "vb",
    "vs",   "vl",    "pd",  "trs", "továbbítás", "fs",  "yml", "转发",   "轉寄",
    "전달", "הועבר", "πρθ", "Πρθ", "ΠΡΘ",        "İlt", "ilt", "i̇lt"};

bool holds(const std::unordered_set<Words>& set, Words word) { return set.contains(word); }

}  // namespace

std::span<const Words> wrote_suffixes() { return kVerbSuffixes; }
std::span<const Words> attribution_leads() { return kLeads; }
std::span<const Words> quoting_leads() { return kQuoting; }
std::span<const Words> original_phrases() { return kOriginals; }
std::span<const Words> forward_phrases() { return kForwards; }

std::span<const Words> forward_ends() { return kForwardEnds; }

bool is_forward_prefix(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kForwardPrefixes),
                                              std::end(kForwardPrefixes)};
  return holds(kSet, token);
}

bool is_between_date_and_name(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kBetween), std::end(kBetween)};
  return holds(kSet, token);
}

bool is_wrote(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kVerbs), std::end(kVerbs)};
  return holds(kSet, token);
}

bool is_around_wrote(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kAroundVerbs), std::end(kAroundVerbs)};
  return holds(kSet, token);
}

bool is_first_person(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kFirstPerson), std::end(kFirstPerson)};
  return holds(kSet, token);
}

bool is_pronoun(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kPronouns), std::end(kPronouns)};
  return holds(kSet, token);
}

bool is_possessive(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kPossessives), std::end(kPossessives)};
  return holds(kSet, token);
}

bool is_day_or_month(Words token) {
  static const std::unordered_set<Words> kSet{std::begin(kDates), std::end(kDates)};
  return holds(kSet, token);
}

}  // namespace voxbus::kit::mail
