"""Character sets of MySQL and MariaDB as their servers turn them into Unicode, and the collations of each.

A binary log has text in the column's own character set; the servers' tables differ in places from Python's
codecs of the same name, so the differences are listed. Taken from CONVERT(… USING utf16) for every code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

UNICODE = frozenset({"utf8mb4", "utf8mb3", "utf8", "binary"})  # bytes are passed on as they are
WIDE = {"ucs2": 1, "utf16": 2, "utf16le": 3, "utf32": 4}  # and the number the decoders know them by
NONE = "\0"  # a byte without a character, in the tables

# The characters of the bytes from 0x80 on; those below are ASCII (swe7 has no upper half, see `single_byte`).
_UPPER = {
    "armscii8": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0❁§։\u0029\u0028»«—\u002e՝\u002c\u002d՟…՜՛՞ԱաԲբԳգԴդԵեԶզԷէԸըԹթԺժԻիԼլԽխԾծԿկ"
        "ՀհՁձՂղՃճՄմՅյՆնՇշՈոՉչՊպՋջՌռՍսՎվՏտՐրՑցՒւՓփՔքՕօՖֆ’\u0027"
    ),
    "cp1250": (
        "€\u0000‚\u0000„…†‡\u0000‰Š‹ŚŤŽŹ\u0000‘’“”•–—\u0000™š›śťžź\u00a0ˇ˘Ł¤Ą¦§¨©Ş«¬\u00ad®Ż"
        "°±˛ł´µ¶·¸ąş»Ľ˝ľżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙"
    ),
    "cp1251": (
        "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u0000™љ›њќћџ\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕї"
        "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя"
    ),
    "cp1256": (
        "€\u067e‚ƒ„…†‡ˆ‰\u0000‹Œ\u0686\u0698\u0000\u06af‘’“”•–—\u0000™\u0000›œ\u200c\u200d\u0000"
        "\u00a0\u060c¢£¤¥¦§¨©\u0000«¬\u00ad®¯°±²³´µ¶·¸¹\u061b»¼½¾\u061f"
        "\u0000\u0621\u0622\u0623\u0624\u0625\u0626\u0627\u0628\u0629\u062a\u062b\u062c\u062d\u062e\u062f"
        "\u0630\u0631\u0632\u0633\u0634\u0635\u0636×\u0637\u0638\u0639\u063a\u0640\u0641\u0642\u0643"
        "à\u0644â\u0645\u0646\u0647\u0648çèéêë\u0649\u064aîï"
        "\u064b\u064c\u064d\u064eô\u064f\u0650÷\u0651ù\u0652ûü\u200e\u200f\u0000"
    ),
    "cp1257": (
        "€\u0000‚\u0000„…†‡\u0000‰\u0000‹\u0000¨ˇ¸\u0000‘’“”•–—\u0000™\u0000›\u0000¯˛\u0000"
        "\u00a0\u0000¢£¤\u0000¦§Ø©Ŗ«¬\u00ad®Æ°±²³´µ¶·ø¹ŗ»¼½¾æĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽß"
        "ąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙"
    ),
    "cp850": (
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤"
        "ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0"
    ),
    "cp852": (
        "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤"
        "đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u00ad˝˛ˇ˘§÷¸°¨˙űŘř■\u00a0"
    ),
    "cp866": (
        "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧"
        "╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√ⁿ²■\u00a0"
    ),
    "dec8": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0¡¢£\u0000¥\u0000§¤©ª«\u0000\u0000\u0000\u0000°±²³\u0000µ¶·\u0000¹º»¼½\u0000¿"
        "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏ\u0000ÑÒÓÔÕÖŒØÙÚÛÜŸ\u0000ßàáâãäåæçèéêëìíîï\u0000ñòóôõöœøùúûüÿ\u0000\u0000"
    ),
    "geostd8": (
        "€\u0000‚\u0000„…†‡\u0000‰\u0000‹\u0000\u0000\u0000\u0000"
        "\u0000‘’“”•–—\u0000\u0000\u0000›\u0000\u0000\u0000\u0000\u00a0¡¢£¤¥¦§¨©ª«¬\u00ad®¯"
        "°±²³´µ¶·¸¹º»¼½¾¿აბგდევზჱთიკლმნჲოპჟრსტჳუფქღყშჩცძწ"
        "ჭხჴჯჰჵ\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000"
        "\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000№\u0000\u0000"
    ),
    "greek": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0ʽʼ£\u0000\u0000¦§¨©\u0000«¬\u00ad\u0000―°±²³΄΅Ά·ΈΉΊ»Ό½ΎΏΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟ"
        "ΠΡ\u0000ΣΤΥΦΧΨΩΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ\u0000"
    ),
    "hebrew": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0\u0000¢£¤¥¦§¨©×«¬\u00ad®‾°±²³´µ¶·¸¹÷»¼½¾\u0000"
        "\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000"
        "\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000‗"
        "\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7\u05d8\u05d9\u05da\u05db\u05dc\u05dd\u05de\u05df"
        "\u05e0\u05e1\u05e2\u05e3\u05e4\u05e5\u05e6\u05e7\u05e8\u05e9\u05ea\u0000\u0000\u200e\u200f\u0000"
    ),
    "hp8": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0ÀÂÈÊËÎÏ´ˋˆ¨˜ÙÛ₤¯Ýý°ÇçÑñ¡¿¤£¥§ƒ¢âêôûáéóúàèòùäëöüÅîØÆåíøæÄìÖÜÉïßÔÁÃãÐðÍÌÓÒÕõŠšÚŸÿ"
        "Þþ·µ¶¾—¼½ªº«■»±\u0000"
    ),
    "keybcs2": (
        "ČüéďäĎŤčěĚĹÍľĺÄÁÉžŽôöÓůÚýÖÜŠĽÝŘťáíóúňŇŮÔšřŕŔ¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧"
        "╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"
    ),
    "koi8r": (
        "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u00a0⌡°²·÷═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©юабцдефгхийклмно"
        "пярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ"
    ),
    "koi8u": (
        "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■•√≈≤≥\u00a0⌡°²·÷═║╒ёє╔ії╗╘╙╚╛ґ╝╞╟╠╡ЁЄ╣ІЇ╦╧╨╩╪Ґ╬©юабцдефгхийклмно"
        "пярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ"
    ),
    "latin1": (
        "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ\u00a0¡¢£¤¥¦§¨©ª«¬\u00ad®¯"
        "°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ"
    ),
    "latin2": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u00adŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîď"
        "đńňóôőö÷řůúűüýţ˙"
    ),
    "latin5": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0¡¢£¤¥¦§¨©ª«¬\u00ad®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäåæçèéêëìíîï"
        "ğñòóôõö÷øùúûüışÿ"
    ),
    "latin7": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "\u00a0”¢£¤„¦§Ø©Ŗ«¬\u00ad®Æ°±²³“µ¶·ø¹ŗ»¼½¾æĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽßąįāćäåęēčéźėģķīļ"
        "šńņóōõö÷ųłśūüżž’"
    ),
    "macce": (
        "ÄĀāÉĄÖÜáąČäčĆćéŹźĎíďĒēĖóėôöõúĚěü†°Ę£§•¶ß®©™ę¨≠ģĮįĪ≤≥īĶ∂∑łĻļĽľĹĺŅņŃ¬√ńŇ∆«»…\u00a0ňŐÕőŌ"
        "–—“”‘’÷◊ōŔŕŘ‹›řŖŗŠ‚„šŚśÁŤťÍŽžŪÓÔūŮÚůŰűŲųÝýķŻŁżĢˇ"
    ),
    "macroman": (
        "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u00a0ÀÃÕŒœ"
        "–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ"
    ),
    "tis620": (
        "\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"
        "\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f"
        "�กขฃคฅฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรฤลฦวศษสหฬอฮฯะัาำิีึืฺุู����฿เแโใไๅๆ็่้๊๋์ํ๎๏"
        "๐๑๒๓๔๕๖๗๘๙๚๛����"
    ),
}
_SWE7 = {64: "É", 91: "Ä", 92: "Ö", 93: "Å", 94: "Ü", 96: "é", 123: "ä", 124: "ö", 125: "å", 126: "ü"}

# Where the servers differ from the codec: a code and the characters from it on.
_EUCJPMS = {
    0xA1C1: "～∥",
    0xA1DD: "－",
    0xA1F1: "￠￡",
    0xA2CC: "￢",
    0xADA1: "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ",
    0xADC0: "㍉㌔㌢㍍㌘㌧㌃㌶㍑㍗㌍㌦㌣㌫㍊㌻㎜㎝㎞㎎㎏㏄㎡",
    0xADDF: "㍻〝〟№㏍℡㊤㊥㊦㊧㊨㈱㈲㈹㍾㍽㍼≒≡∫∮∑√⊥∠∟⊿∵∩∪",
    0x8FA2B7: "～",
    0x8FA2C3: "￤",
    0x8FF3F3: "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡ",
    0x8FF4A1: "ⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔",
    0x8FF4C9: "橫櫢淸淲瀨凞猪甁皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨",
    0x8FF4F1: "閒隆﨩霻靍靑飯飼館馞髙魲鶴黑",
}
_BIG5 = {
    **dict.fromkeys((0xA15A, 0xA1C3, 0xA1C5, 0xA1FE, 0xA240, 0xA2CC, 0xA2CE), "\ufffd"),
    0xF9D6: "碁銹裏墻恒粧嫺",
}
_MULTIBYTE: dict[str, tuple[str, dict[int, str]]] = {
    "big5": ("big5", _BIG5),
    "cp932": ("cp932", {}),
    "eucjpms": ("euc_jp", _EUCJPMS),
    "euckr": ("cp949", {}),
    "gb18030": ("gb18030", {0xA8BC: "\u1e3f"}),
    "gb2312": ("gb2312", {}),
    "gbk": ("gbk", {}),
    "sjis": ("shift_jis", {0x815F: "\\"}),
    "ujis": ("euc_jp", {0xA1C0: "\\"}),
}
_EUC = frozenset({"eucjpms", "ujis"})
_SHIFTED = frozenset({"cp932", "sjis"})

# Ids of collations, both servers' together; MariaDB's from 1024 on are its NOPAD ones and UCA 14's.
_COLLATIONS = """
armscii8 32 64 1056 1088|ascii 11 65 1035 1089|big5 1 84 1025 1108|binary 63
cp1250 26 34 44 66 99 1050 1090|cp1251 14 23 50-52 1074-1075|cp1256 57 67 1081 1091
cp1257 29 58-59 1082-1083|cp850 4 80 1028 1104|cp852 40 81 1064 1105|cp866 36 68 1060 1092
cp932 95-96 1119-1120|dec8 3 69 1027 1093|eucjpms 97-98 1121-1122|euckr 19 85 1043 1109
gb18030 248-250|gb2312 24 86 1048 1110|gbk 28 87 1052 1111|geostd8 92-93 1116-1117
greek 25 70 1049 1094|hebrew 16 71 1040 1095|hp8 6 72 1030 1096|keybcs2 37 73 1061 1097
koi8r 7 74 1031 1098|koi8u 22 75 1046 1099|latin1 5 8 15 31 47-49 94 1032 1071
latin2 2 9 21 27 77 1033 1101|latin5 30 78 1054 1102|latin7 20 41-42 79 1065 1103
macce 38 43 1062 1067|macroman 39 53 1063 1077|sjis 13 88 1037 1112|swe7 10 82 1034 1106
tis620 18 89 1042 1113
ucs2 35 90 128-151 159 640-642 1059 1114 1152 1174 2560-2727 2744-2759
ujis 12 91 1036 1115|utf16 54-55 101-124 672-674 1078-1079 1125 1147 2816-2983 3000-3015
utf16le 56 62 1080 1086|utf32 60-61 160-183 736-738 1084-1085 1184 1206 3072-3239 3256-3271
utf8mb3 33 76 83 192-215 223 576-578 1057 1107 1216 1238 2048-2215 2232-2247
utf8mb4 45-46 224-247 255-271 273-275 277-294 296-298 300 303-323 608-610 1069-1070 1248 1270
utf8mb4 2304-2471 2488-2503
"""


def _by_collation() -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in _COLLATIONS.replace("|", "\n").split("\n"):
        name, _, ids = entry.partition(" ")
        for part in ids.split():
            low, _, high = part.partition("-")
            found.update(dict.fromkeys(range(int(low), int(high or low) + 1), name))
    return found


_CHARSETS = _by_collation()


def charset_of(collation: int) -> str | None:
    """The character set of a collation's id; None for an id neither server is known to have."""
    return _CHARSETS.get(collation)


def single_byte(charset: str) -> str | None:
    """The 256 characters of a character set of one byte, NONE where there is none; else None."""
    if charset == "swe7":
        return "".join(_SWE7.get(code, chr(code)) for code in range(127)) + NONE * 129
    if charset == "ascii":
        return "".join(map(chr, range(128))) + NONE * 128
    upper = _UPPER.get(charset)
    return None if upper is None else "".join(map(chr, range(128))) + upper


def known(charset: str) -> bool:
    """Whether text of this character set can be decoded."""
    return charset in UNICODE or charset in WIDE or charset in _MULTIBYTE or single_byte(charset) is not None


def text_of(data: bytes, charset: str) -> str:
    """A name or a label, for people and comparisons: what is no character becomes '?' or U+FFFD."""
    table = single_byte(charset)
    if table is not None:
        return "".join("?" if table[code] == NONE and code else table[code] for code in data)
    decode = multibyte(charset)
    if decode is not None:
        return decode(data, True)
    codec = {"ucs2": "utf-16-be", "utf16": "utf-16-be", "utf16le": "utf-16-le", "utf32": "utf-32-be"}
    return data.decode(codec.get(charset, "utf-8"), "replace")


class NoCharacter(ValueError):
    """Bytes that are no character of their set; the argument is those bytes."""


def multibyte(charset: str) -> Callable[[bytes, bool], str] | None:
    """For East Asian sets: (bytes, replace) → text, '?' for what is no character if `replace`, else
    NoCharacter. None for any other set."""
    if charset not in _MULTIBYTE:
        return None
    codec, listed = _MULTIBYTE[charset]
    differ = {code + step: char for code, chars in listed.items() for step, char in enumerate(chars)}

    @lru_cache(maxsize=65_536)
    def character(code: bytes) -> str | None:
        number = int.from_bytes(code)
        if number in differ:
            return differ[number]
        if charset in _EUC and code[-2:-1] >= b"\xf5" and len(code) > 1:  # rows for users' own characters
            row, cell = code[-2] - 0xF5, code[-1] - 0xA1
            inside = 0 <= row < 10 and 0 <= cell < 94
            return chr(0xE000 + 940 * (len(code) == 3) + 94 * row + cell) if inside else None
        try:
            text = code.decode(codec)
        except UnicodeDecodeError:
            return None
        # Python's cp932 gives bytes without a character these ones
        return text if len(text) == 1 and text != "\x80" and not "\uf8f0" <= text <= "\uf8f3" else None

    def decode(data: bytes, replace: bool) -> str:
        parts: list[str] = []
        place = 0
        while place < len(data):
            size = _size(charset, data, place)
            text = character(data[place : place + size])
            if text is None or text == "\ufffd":
                if not replace:
                    raise NoCharacter(data[place : place + size])
                text = text or "?"
            parts.append(text)
            place += size
        return "".join(parts)

    return decode


def _size(charset: str, data: bytes, place: int) -> int:
    """Bytes of the character at `place`, as its first bytes announce them."""
    lead = data[place]
    if lead < 0x80 or (charset in _SHIFTED and 0xA0 <= lead <= 0xDF):
        return 1
    if charset in _EUC and lead == 0x8F:
        return 3
    if charset == "gb18030" and place + 1 < len(data) and 0x30 <= data[place + 1] <= 0x39:
        return 4
    return 2
