"""The French sentence and remedy for every code of codes.py.

It knows words, for a reader in a district health office; the keys and placeholders are those of codes_en.py.
"""

_PUSH_AGAIN = "Attendez la prochaine exécution : elle relit DHIS2 et envoie ce qui manque."
_REPORT_US = "Signalez ce défaut de la chaîne, avec le journal de l’exécution."
_FIX_UNIT = (
    "Associez le lieu à une unité d’organisation qui existe dans DHIS2 (place.csv, ou l’identifiant de la Location)."
)
_FIX_FRONT_MATTER = "Corrigez le code dans l’en-tête de l’indicateur, ou créez l’objet dans DHIS2."
_LET_METADATA_REFRESH = "Matérialisez à nouveau les assets lookup ; si cela persiste, corrigez la correspondance."
_SHARE_OPTION = "Partagez l’option de catégorie en écriture des données."
_GIVE_ANCESTOR = "Donnez au compte une unité d’organisation située au-dessus."
_GIVE_WRITE_ACCESS = "Donnez au compte le droit d’écrire les données de cet ensemble."
_ASSIGN_UNIT = "Attribuez l’unité à l’ensemble de données."
_FIX_ATTRIBUTE_OPTIONS = "Vérifiez attribute_options dans data_sets.yaml."
_FIX_VALUE = "Corrigez l’indicateur ou le type de valeur."

FRENCH_OWNERS = {
    "us": "Équipe de la chaîne",
    "mapping": "Responsable des codes et correspondances",
    "DHIS2 administrator": "Administrateur DHIS2",
    "data owner": "Responsable des données",
}

# what is left to do once it is mended: see healing.Then
FRENCH_THEN = {
    "nothing": " Ensuite, rien de plus : le prochain rapport réessaie.",
    "wait": " Ensuite, rien de plus : les rapports réessaient une fois par jour pendant une semaine. Plus tard : "
    "opensrp-dhis2 outbox requeue --code {code}.",
    "requeue": " Ensuite : opensrp-dhis2 outbox requeue --code {code}.",
    "said": "",
}
FRENCH_BEFORE = (" (Avant 2.43 : {codes}.)", " (Appelé {code} ici.)")

FRENCH: dict[str, tuple[str, str]] = {
    # before 2.43: the whole request
    "E7600": (
        "DHIS2 ne connaît pas l’ensemble de données, ou le cache au compte.",
        "Partagez l’ensemble de données avec le compte.",
    ),
    "E7601": ("Le compte n’a pas le droit d’écrire les données de cet ensemble.", _GIVE_WRITE_ACCESS),
    "E7602": ("DHIS2 attend un ensemble de données et n’en a pas reçu.", _REPORT_US),
    "E7603": ("DHIS2 ne connaît pas l’unité d’organisation de la requête, ou la cache au compte.", _FIX_UNIT),
    "E7604": ("DHIS2 ne connaît pas la combinaison d’options d’attribut de la requête.", _LET_METADATA_REFRESH),
    "E7605": (
        "L’ensemble de données n’est pas complet : un champ obligatoire est vide.",
        "Remplissez les champs obligatoires, ou levez la règle dans DHIS2.",
    ),
    # before 2.43: one value
    "E7610": ("DHIS2 ne connaît pas cet élément de données, ou le cache au compte.", _FIX_FRONT_MATTER),
    "E7611": (
        "DHIS2 n’a pas accepté la période.",
        "Envoyez à nouveau si la période est bien écrite : une autre requête était en train de la créer. "
        "Sinon, corrigez-la.",
    ),
    "E7612": ("DHIS2 ne connaît pas cette unité d’organisation, ou la cache au compte.", _FIX_UNIT),
    "E7613": (
        "La combinaison d’options de catégorie n’existe pas, ou ne peut pas être écrite.",
        _LET_METADATA_REFRESH,
    ),
    "E7614": ("Le compte n’a pas le droit d’écrire l’une des options de catégorie.", _SHARE_OPTION),
    "E7615": (
        "La combinaison d’options d’attribut n’existe pas, ou ne peut pas être écrite.",
        "Vérifiez attribute_options dans data_sets.yaml et le partage de l’option.",
    ),
    "E7616": ("Le compte n’a pas le droit d’écrire l’une des options d’attribut.", _SHARE_OPTION),
    "E7617": ("L’unité d’organisation est hors des unités où le compte peut saisir.", _GIVE_ANCESTOR),
    "E7618": ("Une valeur sans contenu a été envoyée.", _REPORT_US),
    "E7619": ("La valeur ne correspond pas au type de valeur de l’élément de données.", _FIX_VALUE),
    "E7620": ("Le commentaire est trop long ou n’est pas permis.", _REPORT_US),
    "E7621": (
        "La valeur n’est pas un code du jeu d’options de l’élément de données.",
        "Envoyez les codes des options, et non leurs noms.",
    ),
    "E7622": ("DHIS2 n’a pas accepté la valeur, avec un code qu’aucun import ne donne d’ordinaire.", _REPORT_US),
    "E7630": ("DHIS2 attend une combinaison d’options de catégorie et n’en a pas reçu.", _REPORT_US),
    "E7631": ("DHIS2 attend une combinaison d’options d’attribut et n’en a pas reçu.", _REPORT_US),
    "E7632": (
        "Aucun ensemble du type de cette période n’a l’élément : le type est faux, ou l’élément a quitté l’ensemble.",
        "Corrigez period_type dans data_sets.yaml, ou ajoutez l’élément à l’ensemble de données dans DHIS2.",
    ),
    "E7633": (
        "L’élément de données n’est pas dans l’ensemble de données.",
        "Ajoutez-le à l’ensemble dans DHIS2, ou nommez le bon ensemble de données.",
    ),
    "E7634": (
        "La combinaison d’options de catégorie n’est pas de celles de l’élément de données.",
        _LET_METADATA_REFRESH,
    ),
    "E7635": (
        "La combinaison d’options d’attribut n’est pas de celles de l’ensemble de données.",
        _FIX_ATTRIBUTE_OPTIONS,
    ),
    "E7636": (
        "L’unité d’organisation n’est attribuée à aucun ensemble de données qui contient cet élément.",
        _ASSIGN_UNIT,
    ),
    "E7637": ("Le nom de la personne qui a enregistré la valeur est trop long.", _REPORT_US),
    "E7638": (
        "L’option d’attribut n’est pas valable pour cette période.",
        "Prolongez les dates de l’option, ou arrêtez de rapporter.",
    ),
    "E7639": (
        "L’option d’attribut n’est pas valable pour cette unité d’organisation.",
        "Attribuez l’option à l’unité d’organisation.",
    ),
    "E7640": (
        "La période est close : son délai de saisie est passé.",
        "Rouvrez la période pour l’unité, ou acceptez le nombre qui est dans DHIS2.",
    ),
    "E7641": (
        "La période n’est pas encore ouverte.",
        "Attendez sa fin, ou augmentez le nombre de périodes futures ouvertes de l’ensemble de données.",
    ),
    "E7642": (
        "Les données sont déjà approuvées.",
        "Retirez l’approbation, ou acceptez le nombre qui est dans DHIS2.",
    ),
    "E7643": (
        "La période n’est pas ouverte à la saisie en ce moment.",
        "Ouvrez une période de saisie de l’ensemble de données, ou acceptez le nombre qui est dans DHIS2.",
    ),
    "E7644": (
        "La période n’est pas une période ouverte de l’ensemble de données.",
        "Ouvrez la période dans DHIS2, ou acceptez le nombre qui y est.",
    ),
    "E7645": ("Il n’y a pas de fichier à supprimer.", _REPORT_US),
    # 2.43 and above: the whole request or group
    "E8000": ("Tout ou rien était demandé, et une valeur a été refusée.", _REPORT_US),
    "E8001": ("DHIS2 n’a pas pu lire le PDF.", _REPORT_US),
    "E8002": ("Aucun ensemble de données n’est nommé, et les éléments appartiennent à plusieurs.", _REPORT_US),
    "E8003": (
        "Aucun ensemble de données n’est nommé, et ces éléments n’appartiennent à aucun.",
        _FIX_FRONT_MATTER,
    ),
    "E8004": ("L’identifiant de l’ensemble de données est mal formé.", _LET_METADATA_REFRESH),
    "E8005": ("DHIS2 ne connaît pas l’ensemble de données.", "Corrigez le code dans data_sets.yaml."),
    "E8006": ("DHIS2 n’a pas pu lire le XML.", _REPORT_US),
    "E8007": ("DHIS2 n’a pas pu lire le XML.", _REPORT_US),
    "E8008": ("DHIS2 n’a pas pu lire la date de complétude.", _REPORT_US),
    "E8009": (
        "Une date de complétude est venue sans ensemble de données, unité d’organisation et période.",
        _REPORT_US,
    ),
    "E8010": ("Le compte n’a pas le droit d’écrire les données de cet ensemble.", _GIVE_WRITE_ACCESS),
    "E8011": ("Une unité d’organisation est hors des unités où le compte peut saisir.", _GIVE_ANCESTOR),
    "E8012": ("Le compte n’a pas le droit d’écrire l’une des options de catégorie.", _SHARE_OPTION),
    "E8020": (
        "L’élément de données n’est pas dans l’ensemble de données, ou l’un des deux n’existe pas.",
        _FIX_FRONT_MATTER,
    ),
    "E8021": (
        "La période n’est pas du même type que celle de l’ensemble de données.",
        "Corrigez period_type dans data_sets.yaml.",
    ),
    "E8022": (
        "L’unité d’organisation n’existe pas, ou n’est pas attribuée à l’ensemble de données.",
        _ASSIGN_UNIT,
    ),
    "E8023": (
        "La combinaison d’options d’attribut n’est pas de celles de l’ensemble de données.",
        _FIX_ATTRIBUTE_OPTIONS,
    ),
    "E8024": (
        "La combinaison d’options de catégorie n’est pas de celles de l’élément de données.",
        _LET_METADATA_REFRESH,
    ),
    "E8025": (
        "L’option d’attribut n’est pas valable pour cette unité d’organisation.",
        "Attribuez l’option à l’unité d’organisation.",
    ),
    "E8030": (
        "La période n’est pas ouverte : délai passé, période en cours ou sans période de saisie.",
        "Ouvrez-la dans DHIS2, ou acceptez le nombre qui y est.",
    ),
    "E8031": (
        "L’unité d’organisation n’était pas ouverte pendant cette période.",
        "Corrigez sa date d’ouverture ou de fermeture, ou la correspondance du lieu.",
    ),
    "E8032": (
        "L’option d’attribut n’est pas valable pour cette période.",
        "Prolongez les dates de l’option, ou arrêtez de rapporter.",
    ),
    "E8033": ("Les données sont déjà approuvées.", "Retirez l’approbation, ou acceptez le nombre qui est dans DHIS2."),
    "E8034": ("Une suppression nomme un identifiant qui n’existe pas.", _LET_METADATA_REFRESH),
    "E8035": ("Une suppression nomme un identifiant mal formé.", _REPORT_US),
    # 2.43 and above: one row stops the request
    "E8100": ("Une ligne n’a pas de période.", _REPORT_US),
    "E8101": ("Une ligne nomme des options, et la requête aucun ensemble de données.", _REPORT_US),
    "E8102": ("Une ligne n’a pas d’élément de données.", _REPORT_US),
    "E8103": ("DHIS2 ne connaît pas cet élément de données.", _FIX_FRONT_MATTER),
    "E8104": ("L’identifiant de l’élément de données est mal formé.", _FIX_FRONT_MATTER),
    "E8105": ("Une ligne n’a pas d’unité d’organisation.", _REPORT_US),
    "E8106": ("L’identifiant de l’unité d’organisation est mal formé.", _FIX_UNIT),
    "E8107": ("DHIS2 ne connaît pas cette unité d’organisation.", _FIX_UNIT),
    "E8108": ("DHIS2 ne connaît pas cette combinaison d’options de catégorie.", _LET_METADATA_REFRESH),
    "E8109": ("L’identifiant de la combinaison d’options de catégorie est mal formé.", _LET_METADATA_REFRESH),
    "E8110": ("DHIS2 ne connaît pas cette combinaison d’options d’attribut.", _LET_METADATA_REFRESH),
    "E8111": ("L’identifiant de la combinaison d’options d’attribut est mal formé.", _LET_METADATA_REFRESH),
    # 2.43 and above: one value
    "E8120": ("Une valeur sans contenu a été envoyée.", _REPORT_US),
    "E8121": ("L’ensemble de données veut un commentaire là où il n’y a pas de valeur.", _REPORT_US),
    "E8122": ("La valeur ne correspond pas au type de valeur de l’élément de données.", _FIX_VALUE),
    "E8123": (
        "La valeur n’est pas un code du jeu d’options de l’élément de données.",
        "Envoyez les codes des options, et non leurs noms.",
    ),
    "E8124": ("Le commentaire n’est pas de ceux qui sont permis.", _REPORT_US),
    "E8125": ("Le commentaire dépasse 5 000 caractères.", _REPORT_US),
    "E8126": ("DHIS2 ne connaît pas cette combinaison de catégories.", _LET_METADATA_REFRESH),
    "E8127": (
        "La combinaison de catégories n’a pas de combinaison pour ces options.",
        _LET_METADATA_REFRESH,
    ),
    "E8128": ("Deux valeurs d’une même requête tombent dans la même case.", _REPORT_US),
    # reading back and metadata
    "E1003": ("DHIS2 ne permet pas la requête sous cette forme.", _REPORT_US),
    "E1004": ("DHIS2 n’accepte pas l’objet.", "Corrigez l’objet que nomme le message."),
    "E1005": ("DHIS2 n’a pas l’objet, ou le cache au compte.", _LET_METADATA_REFRESH),
    "E1006": ("Le compte n’en a pas le droit.", "Donnez au compte l’autorisation que nomme le message."),
    "E2001": ("Une lecture ne nomme ni ensemble ni élément de données que DHIS2 connaisse.", _LET_METADATA_REFRESH),
    "E2002": ("Une lecture ne nomme aucune période.", _REPORT_US),
    "E2003": ("Une lecture nomme les périodes de deux façons.", _REPORT_US),
    "E2006": ("Une lecture ne nomme aucune unité d’organisation que DHIS2 connaisse.", _LET_METADATA_REFRESH),
    "E2009": ("Une lecture a une limite négative.", _REPORT_US),
    "E2010": (
        "Le compte n’a pas le droit de lire les données de cet ensemble.",
        "Donnez au compte le droit de lire les données de cet ensemble.",
    ),
    "E2011": (
        "Le compte n’a pas le droit de lire cette option d’attribut.",
        "Partagez l’option de catégorie en lecture des données.",
    ),
    "E2012": ("L’unité d’organisation est hors des unités que le compte peut lire.", _GIVE_ANCESTOR),
    "E2030": ("La valeur ne correspond pas au type de valeur de l’élément de données.", _FIX_VALUE),
    "E4000": ("Il manque à l’objet un membre que DHIS2 exige.", "Complétez l’objet que nomme le message."),
    "E4002": ("Un membre de l’objet est trop court ou trop long.", "Corrigez le membre que nomme le message."),
    "E5003": (
        "Un autre objet porte déjà ce code ou ce nom.",
        "Donnez-en un autre au nôtre, ou supprimez l’autre ; il peut être à un compte dont le nôtre ne voit rien.",
    ),
    # without a code
    "account_disabled": (
        "Le compte est désactivé dans DHIS2.",
        "Activez le compte dans DHIS2, ou donnez-nous un autre compte (DHIS2_AUTH et ses réglages).",
    ),
    "account_locked": (
        "DHIS2 a verrouillé le compte après des mots de passe erronés.",
        "Corrigez d’abord DHIS2_PASSWORD ; puis déverrouillez le compte dans DHIS2, ou attendez la fin du verrou.",
    ),
    "bad_request": ("DHIS2 n’a pas pu lire la requête.", _REPORT_US),
    "bearer_refused": (
        "DHIS2 n’accepte pas le jeton : il a expiré, vient d’un autre émetteur, ou le serveur n’en prend pas.",
        "Renouvelez le jeton de DHIS2_TOKEN ou vérifiez DHIS2_TOKEN_URL ; DHIS2_AUTH=pat marche toujours.",
    ),
    "beyond_open_periods": (
        "Le nombre a changé alors que sa période n’est plus de celles que les données tardives peuvent modifier.",
        "Augmentez open_periods de l’ensemble dans data_sets.yaml, ou saisissez le nombre dans DHIS2 à la main.",
    ),
    "completion_refused": (
        "DHIS2 n’a pas accepté, ou n’a pas retiré, la clôture de saisie de cette unité.",
        "Vérifiez dans DHIS2 si la période est verrouillée ou approuvée pour l’unité, puis remettez-la en file.",
    ),
    "counts_disagree": ("Les compteurs de DHIS2 ne correspondent pas à ce qui a été envoyé.", _PUSH_AGAIN),
    "dry_run": ("Un essai à blanc : DHIS2 a vérifié la valeur et ne l’a pas gardée.", "Envoyez-la sans dryRun."),
    "duplicate_key": (
        "Deux valeurs d’une même requête tombent dans la même case ; DHIS2 n’en a gardé qu’une.",
        _REPORT_US,
    ),
    "empty_reply": (
        "DHIS2 a répondu sans rien dire.",
        "Vérifiez que le compte a le droit de lire et d’écrire l’ensemble de données.",
    ),
    "flush_failed": (
        "La base de données de DHIS2 a refusé une partie de la requête ; le reste est enregistré.",
        _PUSH_AGAIN,
    ),
    "forbidden": ("Il manque une autorisation au compte.", "Donnez F_DATAVALUE_ADD au compte."),
    "foreign_edit": (
        "Quelqu’un a modifié la valeur dans DHIS2 après sa livraison.",
        "Convenez du bon nombre : corrigez-le à la source, ou choisissez overwrite ou accept dans data_sets.yaml.",
    ),
    "import_failed": ("DHIS2 a abandonné l’import sans dire ce qu’il a enregistré.", _PUSH_AGAIN),
    "nothing_counted": ("DHIS2 parle de succès et n’a rien compté.", _PUSH_AGAIN),
    "not_a_summary": ("DHIS2 a répondu, mais pas par un résumé d’import.", _PUSH_AGAIN),
    "not_json": (
        "Autre chose a répondu à la place de DHIS2, ou la réponse s’est interrompue.",
        "Vérifiez le proxy, puis envoyez à nouveau.",
    ),
    "other_strategy": ("La stratégie d’import laisse cette valeur de côté.", _REPORT_US),
    "outside_submission_hours": (
        "Les heures d’envoi sont passées, et la valeur attend.",
        "Attendez les prochaines heures d’envoi, ou changez DHIS2_SUBMISSION_HOURS.",
    ),
    "pat_address": (
        "Le jeton d’accès personnel ne vaut pas pour l’adresse d’où est venue la requête.",
        "Ajoutez l’adresse de cette machine, ou de son proxy, aux adresses permises, ou créez un autre DHIS2_TOKEN.",
    ),
    "pat_expired": (
        "Le jeton d’accès personnel a expiré.",
        "Créez un nouveau jeton pour le même compte dans DHIS2 et mettez-le dans DHIS2_TOKEN.",
    ),
    "pat_method": (
        "Le jeton d’accès personnel ne vaut pas pour cette méthode HTTP.",
        "Créez un jeton qui permet GET et POST, et DELETE pour les clôtures et PUT pour les routes (DHIS2_TOKEN).",
    ),
    "pat_miscopied": (
        "Le jeton d’accès personnel n’en est pas un : il y manque une lettre, ou une lettre est fausse.",
        "Copiez à nouveau le jeton entier dans DHIS2_TOKEN ou dans son fichier.",
    ),
    "pat_refused": (
        "DHIS2 n’accepte pas le jeton d’accès personnel.",
        "Regardez les restrictions du jeton dans DHIS2, ou créez-en un nouveau et mettez-le dans DHIS2_TOKEN.",
    ),
    "pat_unknown": (
        "DHIS2 ne connaît pas le jeton d’accès personnel : il a été supprimé, ou il est d’un autre serveur.",
        "Vérifiez DHIS2_BASE_URL ; créez-y un nouveau jeton et mettez-le dans DHIS2_TOKEN.",
    ),
    "redirected": (
        "DHIS2 nous a renvoyés à sa page de connexion.",
        "Vérifiez les identifiants de connexion et DHIS2_BASE_URL.",
    ),
    "request_timeout": (
        "DHIS2 a mis trop de temps à répondre.",
        "Regardez la charge du serveur si cela se répète ; la prochaine exécution relit DHIS2 et envoie ce qui manque.",
    ),
    "server_error": (
        "DHIS2 est tombé en erreur.",
        "Regardez le journal du serveur ; la prochaine exécution relit DHIS2 et envoie ce qui manque.",
    ),
    "server_silent": (
        "DHIS2 n’a donné aucune réponse utilisable, plusieurs fois de suite.",
        "Vérifiez que le serveur et son proxy fonctionnent ; les valeurs attendent la prochaine exécution.",
    ),
    "too_large": (
        "La requête est trop grande pour le proxy.",
        "Relevez la taille que le proxy permet, ou envoyez moins de valeurs par requête.",
    ),
    "too_many_requests": ("Le proxy nous demande de ralentir.", "Attendez : l’envoi reprend plus tard."),
    "unauthorized": (
        "DHIS2 n’accepte pas les identifiants de connexion, et ne dit pas pourquoi.",
        "Vérifiez le nom et le mot de passe, ou le jeton, de DHIS2_AUTH, et dans DHIS2 que le mot de passe est valable.",
    ),
    "unexplained_rejection": ("DHIS2 a rejeté la valeur sans dire pourquoi.", _PUSH_AGAIN),
    "unknown_code": (
        "DHIS2 l’a refusée avec {code}, que cette version ne connaît pas.",
        "Cherchez ce code et signalez-le.",
    ),
    "unquoted_member": (
        "Une valeur a été envoyée comme nombre JSON ; ce serveur veut du texte.",
        _REPORT_US,
    ),
    "unreadable_period": ("La période ne peut pas être lue.", "Corrigez la période."),
    "value_missing": (
        "DHIS2 avait confirmé une valeur de cette unité, et la comparaison ne l’y a plus trouvée : la saisie n’est pas "
        "déclarée close.",
        "Cherchez qui l’a supprimée, ou si DHIS2 a été restauré ; overwrite dans data_sets.yaml la renvoie.",
    ),
    "value_vanished": (
        "La valeur n’est plus comptée et doit être supprimée dans DHIS2.",
        "Vérifiez les données de départ si le nombre doit rester ; sinon, laissez la prochaine exécution le supprimer.",
    ),
    "write_lost": ("DHIS2 parle de succès et n’a rien enregistré.", _PUSH_AGAIN),
}
